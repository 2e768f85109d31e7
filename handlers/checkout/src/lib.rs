//! The checkout: turns a cart into an order by asking seven other handlers, in the order in which it can still be
//! undone. What is asked before the card is charged may fail without harm; what comes after is told in the fault.
//!
//! Emptying the cart and confirming by e-mail are not worth an order: their failure is logged.

use sdk::{Log, Outcome, Random};
use shop::{
    Cart, Catalog, Checkout, CheckoutFault, Currency, Email, Item, Money, Order, OrderItem, OrderRequest,
    Payment, PaymentFault, Shipping, ShippingFault,
};

sdk::handler! { path: "../wit", world: "checkout", contract: shop, handler: Counter(World) }

/// The counter where orders are placed.
pub struct Counter<W>(pub W);

impl<W> Checkout for Counter<W>
where
    W: Cart + Catalog + Currency + Email + Payment + Shipping + Log + Random,
{
    fn place_order(&self, request: OrderRequest) -> Result<Order, CheckoutFault> {
        check(&request)?;
        let cart = self.0.get_cart(request.user_id.clone()).required("cart")?;
        if cart.is_empty() {
            return Err(CheckoutFault::CartEmpty);
        }
        let items = self.priced(&cart, &request.currency)?;
        let shipping = self.carriage(&request, &cart)?;
        let total = items
            .iter()
            .try_fold(shipping.clone(), |sum, item| sum.plus(&item.cost))
            .ok_or_else(too_much)?;
        let transaction_id = self.charge(&total, &request)?;
        let tracking_id = self.ship(&request, cart, &transaction_id)?;
        let order = Order {
            order_id: format!("ORD-{}", self.0.random_hex(6).to_uppercase()),
            tracking_id,
            transaction_id,
            items,
            shipping,
            total,
            address: request.address,
        };
        self.0.empty_cart(request.user_id).optional(&self.0, "cart");
        self.0
            .send_confirmation(request.email, order.clone())
            .optional(&self.0, "email");
        self.0.info(&format!(
            "placed {} with {} lines",
            order.order_id,
            order.items.len()
        ));
        Ok(order)
    }
}

impl<W> Counter<W>
where
    W: Catalog + Currency + Payment + Shipping + Log,
{
    fn priced(&self, cart: &[Item], currency: &str) -> Result<Vec<OrderItem>, CheckoutFault> {
        let lines = cart.iter().map(|item| {
            let product = self.0.get_product(item.product_id.clone()).required("catalog")?;
            let price = self
                .0
                .convert(product.price, currency.to_owned())
                .required("currency")?;
            Ok(OrderItem {
                product_id: product.id,
                name: product.name,
                quantity: item.quantity,
                cost: price.times(item.quantity).ok_or_else(too_much)?,
            })
        });
        lines.collect()
    }

    fn carriage(&self, request: &OrderRequest, cart: &[Item]) -> Result<Money, CheckoutFault> {
        let quote = self
            .0
            .quote(request.address.clone(), cart.to_vec())
            .required("shipping")?;
        Ok(self
            .0
            .convert(quote, request.currency.clone())
            .required("currency")?)
    }

    fn charge(&self, total: &Money, request: &OrderRequest) -> Result<String, CheckoutFault> {
        match self.0.charge(total.clone(), request.card.clone()) {
            Err(PaymentFault::Invalid(reason)) => Err(CheckoutFault::Invalid(reason)),
            Err(PaymentFault::Declined(reason)) => Err(CheckoutFault::Declined(reason)),
            answer => Ok(answer.required("payment")?),
        }
    }

    /// From here on the card is charged: every failure names the transaction, so that people can undo it.
    fn ship(
        &self,
        request: &OrderRequest,
        cart: Vec<Item>,
        transaction: &str,
    ) -> Result<String, CheckoutFault> {
        let reason = match self.0.ship_order(request.address.clone(), cart) {
            Ok(tracking_id) => return Ok(tracking_id),
            Err(ShippingFault::InvalidAddress(reason)) => reason,
            Err(ShippingFault::NothingToShip) => "there was nothing to send".to_owned(),
            Err(ShippingFault::CallFailed(error)) => error.message,
        };
        self.0
            .error(&format!("charged {transaction}, but shipping failed: {reason}"));
        Err(CheckoutFault::ShippingFailed(format!(
            "{reason}; the card was charged as {transaction}"
        )))
    }
}

/// What can be known to be wrong before anybody is asked.
fn check(request: &OrderRequest) -> Result<(), CheckoutFault> {
    let address = &request.address;
    let fields = [
        ("e-mail address", &request.email),
        ("name", &address.name),
        ("street", &address.street),
        ("postcode", &address.postcode),
        ("city", &address.city),
        ("country", &address.country),
        ("card number", &request.card.number),
    ];
    match fields.iter().find(|(_, value)| value.trim().is_empty()) {
        Some((field, _)) => Err(CheckoutFault::Invalid(format!("the {field} is missing"))),
        None if !request.email.contains('@') => {
            Err(CheckoutFault::Invalid("the e-mail address has no @".to_owned()))
        }
        None => Ok(()),
    }
}

fn too_much() -> CheckoutFault {
    CheckoutFault::Invalid("the order is too large to be paid".to_owned())
}

#[cfg(test)]
mod tests;
