//! The cart: what is in it, what it comes to, and the form that buys it.

use sdk::Outcome;
use sdk::http::{Form, Response};
use shop::{Address, Card, CartFault, CheckoutFault, Item, Money, OrderRequest, Product};

use super::{Failure, order, recommended, things};
use crate::Neighbours;
use crate::markup::{escape, page, shelf};
use crate::prices::{Prices, text};
use crate::visit::Visit;

/// The fields of the checkout form: name, label, what browsers call it, and what stands there at first. The card is
/// made up, and the number passes the check that real ones pass.
const FIELDS: [(&str, &str, &str, &str); 10] = [
    ("email", "E-mail", "email", "robin@harbour.example"),
    ("name", "Name", "name", "Robin Thimble"),
    ("street", "Street", "street-address", "3 Ferry Steps"),
    ("postcode", "Postcode", "postal-code", "4021"),
    ("city", "City", "address-level2", "Ternhaven"),
    ("country", "Country", "country-name", "Norway"),
    ("card_number", "Card number", "cc-number", "4539 1488 0343 6467"),
    ("card_month", "Month", "cc-exp-month", "1"),
    ("card_year", "Year", "cc-exp-year", "2039"),
    ("card_code", "Code", "cc-csc", "672"),
];

pub(crate) fn add_to_cart(world: &impl Neighbours, visit: &Visit, form: &Form) -> Result<Response, Failure> {
    let quantity = form
        .number("quantity")
        .ok_or_else(|| Failure::Invalid("The quantity is not a number".to_owned()))?;
    // Only what is sold goes into the cart, so that every cart can be shown and bought.
    let product = super::product::product_of(world, form.get("product_id"))?;
    let added = world.add_item(
        visit.session.clone(),
        Item {
            product_id: product.id,
            quantity,
        },
    );
    added.map_err(of_cart)?;
    Ok(Response::see_other("/cart"))
}

pub(crate) fn empty_cart(world: &impl Neighbours, visit: &Visit) -> Result<Response, Failure> {
    world.empty_cart(visit.session.clone()).map_err(of_cart)?;
    Ok(Response::see_other("/cart"))
}

pub(crate) fn cart(world: &impl Neighbours, visit: &Visit) -> Result<Response, Failure> {
    let page = render(world, visit, &Form::default(), None)?;
    Ok(Response::html(200, page))
}

pub(crate) fn checkout(world: &impl Neighbours, visit: &Visit, form: &Form) -> Result<Response, Failure> {
    let request = match request(visit, form) {
        Ok(request) => request,
        Err(reason) => return Ok(Response::html(422, render(world, visit, form, Some(&reason))?)),
    };
    match world.place_order(request) {
        Ok(order) => Ok(Response::html(200, order::confirmation(world, visit, &order))),
        Err(CheckoutFault::CartEmpty) => Ok(Response::see_other("/cart")),
        Err(CheckoutFault::Invalid(reason) | CheckoutFault::Declined(reason)) => {
            Ok(Response::html(422, render(world, visit, form, Some(&reason))?))
        }
        Err(CheckoutFault::ShippingFailed(reason)) => Err(Failure::Broken("checkout", reason)),
        Err(CheckoutFault::CallFailed(error)) => Err(Failure::Silent("checkout", error)),
    }
}

fn request(visit: &Visit, form: &Form) -> Result<OrderRequest, String> {
    let text = |name: &str| form.get(name).to_owned();
    let month = form
        .number("card_month")
        .ok_or("the month of expiry is not a number")?;
    let year = form
        .number("card_year")
        .ok_or("the year of expiry is not a number")?;
    Ok(OrderRequest {
        user_id: visit.session.clone(),
        currency: visit.currency.clone(),
        email: text("email"),
        address: address(form),
        card: Card {
            number: text("card_number"),
            code: text("card_code"),
            expiry_month: month,
            expiry_year: year,
        },
    })
}

fn address(form: &Form) -> Address {
    let text = |name: &str| form.get(name).to_owned();
    Address {
        name: text("name"),
        street: text("street"),
        postcode: text("postcode"),
        city: text("city"),
        country: text("country"),
    }
}

/// The page, with what the visitor typed and why it was refused, if it was.
fn render<W: Neighbours>(
    world: &W,
    visit: &Visit,
    form: &Form,
    refusal: Option<&str>,
) -> Result<String, Failure> {
    let items = world.get_cart(visit.session.clone()).map_err(of_cart)?;
    let prices = Prices::new(world, visit);
    if items.is_empty() {
        let main = "<h1>Your cart</h1><p id=\"cart-empty\">There is nothing in it yet. \
                    <a href=\"/\">Look around</a>.</p>";
        return Ok(page(world, visit, "Your cart", Some(0), main));
    }
    let mut rows = String::new();
    let mut total = None;
    for item in &items {
        let product = super::product::product_of(world, &item.product_id)?;
        let price = prices.convert(&product.price);
        let cost = price.times(item.quantity).unwrap_or(price);
        rows.push_str(&row(&product, item.quantity, &cost));
        total = sum(total, cost);
    }
    if let Some(quote) = world
        .quote(address(form), items.clone())
        .optional(world, "shipping")
    {
        let carriage = prices.convert(&quote);
        rows.push_str(&format!(
            "<tr class=\"carriage\"><th scope=\"row\" colspan=\"2\">Carriage</th><td id=\"shipping\">{}</td></tr>",
            escape(&text(&carriage))
        ));
        total = sum(total, carriage);
    }
    let total = total.map(|total| escape(&text(&total))).unwrap_or_default();
    let others = recommended(world, items.iter().map(|item| item.product_id.clone()).collect());
    let main = format!(
        "<h1>Your cart</h1><div class=\"cart\"><section aria-label=\"Contents\"><table id=\"cart\">\
         <thead><tr><th scope=\"col\">Product</th><th scope=\"col\">Quantity</th><th scope=\"col\">Price</th></tr></thead>\
         <tbody>{rows}</tbody><tfoot><tr><th scope=\"row\" colspan=\"2\">In all</th><td id=\"total\">{total}</td></tr>\
         </tfoot></table><form action=\"/cart/empty\" method=\"post\"><button class=\"quiet\" id=\"empty-cart\">\
         Empty the cart</button></form></section>{}</div>{}",
        buy(form, refusal),
        shelf("recommendations", "Before you go", &others, &prices)
    );
    Ok(page(world, visit, "Your cart", Some(things(&items)), &main))
}

fn row(product: &Product, quantity: u32, cost: &Money) -> String {
    let (id, name, cost) = (escape(&product.id), escape(&product.name), escape(&text(cost)));
    format!(
        "<tr data-product=\"{id}\"><th scope=\"row\"><a href=\"/product/{id}\">\
         <img src=\"/pictures/{id}.svg\" alt=\"\" width=\"64\" height=\"48\">{name}</a></th>\
         <td data-quantity=\"{quantity}\">{quantity}</td><td>{cost}</td></tr>"
    )
}

/// Adds an amount; amounts that cannot be added (a currency fell silent half-way) leave no sum.
fn sum(total: Option<Money>, more: Money) -> Option<Money> {
    match total {
        None => Some(more),
        Some(total) => total.plus(&more),
    }
}

fn buy(form: &Form, refusal: Option<&str>) -> String {
    let alert = refusal.map(|reason| {
        format!(
            "<p class=\"alert\" id=\"refusal\" role=\"alert\">{}.</p>",
            escape(reason)
        )
    });
    let fields = FIELDS.iter().map(|(name, label, autocomplete, sample)| {
        let typed = form.get(name);
        // A refused card is typed again: it is not sent back.
        let value = if typed.is_empty() || name.starts_with("card_") {
            sample
        } else {
            &typed
        };
        let kind = if *name == "email" { "email" } else { "text" };
        format!(
            "<label class=\"{name}\">{label} <input type=\"{kind}\" name=\"{name}\" value=\"{}\" \
             autocomplete=\"{autocomplete}\" required></label>",
            escape(value)
        )
    });
    format!(
        "<section aria-labelledby=\"buy-title\"><h2 id=\"buy-title\">Have it sent</h2>{}\
         <form action=\"/cart/checkout\" method=\"post\" class=\"checkout\" id=\"checkout\">{}\
         <button id=\"place-order\">Place the order</button>\
         <p class=\"detail\">A rehearsal: the card is made up and no money moves.</p></form></section>",
        alert.unwrap_or_default(),
        fields.collect::<String>()
    )
}

fn of_cart(fault: CartFault) -> Failure {
    match fault {
        CartFault::Invalid(reason) => Failure::Invalid(format!("The cart says: {reason}")),
        CartFault::Storage(reason) => Failure::Broken("cart", reason),
        CartFault::Busy => Failure::Broken("cart", "others changed the cart at the same time".to_owned()),
        CartFault::CallFailed(error) => Failure::Silent("cart", error),
    }
}
