//! The counter over a fake world in which any one neighbour can be made to fail.

use std::cell::RefCell;

use sdk::fake::{Counting, Lines};
use sdk::{CallError, Level};
use shop::{Address, Card, CartFault, CatalogFault, CurrencyFault, EmailFault, Product, SHOP_CURRENCY};

use super::*;

#[derive(Default)]
struct Fake {
    cart: RefCell<Vec<Item>>,
    /// The handler whose calls fail.
    broken: &'static str,
    payment: Option<PaymentFault>,
    asked: RefCell<Vec<String>>,
    letters: RefCell<Vec<(String, String)>>,
    lines: Lines,
    random: Counting,
}

impl Fake {
    /// Notes the call, which fails if its handler is broken.
    fn ask(&self, handler: &str, function: &str) -> Result<(), CallError> {
        self.asked.borrow_mut().push(format!("{handler}.{function}"));
        if self.broken == handler {
            return Err(CallError {
                code: 8,
                message: "no node serves it".into(),
                retryable: true,
            });
        }
        Ok(())
    }
}

impl Cart for Fake {
    fn get_cart(&self, _user: String) -> Result<Vec<Item>, CartFault> {
        self.ask("cart", "get")?;
        Ok(self.cart.borrow().clone())
    }

    fn add_item(&self, _user: String, _item: Item) -> Result<Vec<Item>, CartFault> {
        self.get_cart(String::new())
    }

    fn empty_cart(&self, _user: String) -> Result<(), CartFault> {
        self.ask("cart", "empty")?;
        self.cart.borrow_mut().clear();
        Ok(())
    }
}

impl Catalog for Fake {
    fn list_products(&self) -> Result<Vec<Product>, CatalogFault> {
        Ok(vec![])
    }

    fn get_product(&self, id: String) -> Result<Product, CatalogFault> {
        self.ask("catalog", "get")?;
        let price = Money::from_cents(SHOP_CURRENCY, 1_000);
        let (summary, description, categories) = (String::new(), vec![], vec![]);
        Ok(Product {
            name: id.to_uppercase(),
            id,
            summary,
            description,
            price,
            categories,
        })
    }

    fn search_products(&self, _query: String) -> Result<Vec<Product>, CatalogFault> {
        Ok(vec![])
    }
}

impl Currency for Fake {
    fn supported_currencies(&self) -> Result<Vec<String>, CurrencyFault> {
        Ok(vec![])
    }

    /// Everything costs twice as much elsewhere.
    fn convert(&self, amount: Money, to: String) -> Result<Money, CurrencyFault> {
        self.ask("currency", "convert")?;
        let doubled = amount.times(2).expect("the amounts are small");
        Ok(Money {
            currency: to,
            ..doubled
        })
    }
}

impl Payment for Fake {
    fn charge(&self, amount: Money, _card: Card) -> Result<String, PaymentFault> {
        self.ask("payment", &format!("charge {}", amount.units))?;
        self.payment.clone().map_or_else(|| Ok("tx-1".into()), Err)
    }
}

impl Shipping for Fake {
    fn quote(&self, _address: Address, _items: Vec<Item>) -> Result<Money, ShippingFault> {
        self.ask("shipping", "quote")?;
        Ok(Money::from_cents(SHOP_CURRENCY, 500))
    }

    fn ship_order(&self, _address: Address, items: Vec<Item>) -> Result<String, ShippingFault> {
        self.ask("depot", &format!("ship {}", items.len()))?;
        Ok("TT-1".into())
    }
}

impl Email for Fake {
    fn send_confirmation(&self, recipient: String, order: Order) -> Result<(), EmailFault> {
        self.ask("email", "send")?;
        self.letters.borrow_mut().push((recipient, order.order_id));
        Ok(())
    }
}

impl Log for Fake {
    fn log(&self, level: Level, message: &str) {
        self.lines.log(level, message);
    }
}

impl Random for Fake {
    fn random_bytes(&self, count: usize) -> Vec<u8> {
        self.random.random_bytes(count)
    }
}

fn fake(broken: &'static str) -> Fake {
    let item = |id: &str, quantity| Item {
        product_id: id.into(),
        quantity,
    };
    Fake {
        cart: RefCell::new(vec![item("mug", 3), item("kite", 1)]),
        broken,
        ..Fake::default()
    }
}

fn request() -> OrderRequest {
    let text = |text: &str| text.to_owned();
    OrderRequest {
        user_id: text("ada"),
        currency: text("USD"),
        email: text("ada@fern.example"),
        address: Address {
            name: text("Ada Fern"),
            street: text("1 Quay"),
            postcode: text("1234"),
            city: text("Tarn"),
            country: text("Norway"),
        },
        card: Card {
            number: text("4539148803436467"),
            code: text("123"),
            expiry_month: 1,
            expiry_year: 2031,
        },
    }
}

#[test]
fn order_charges_converts_ships_empties_and_confirms_in_that_order() {
    let counter = Counter(fake(""));
    let order = counter.place_order(request()).expect("nothing is broken");
    assert_eq!(order.order_id, "ORD-000102030405");
    assert_eq!(
        (order.tracking_id.as_str(), order.transaction_id.as_str()),
        ("TT-1", "tx-1")
    );
    assert_eq!(
        order.items.iter().map(|item| item.cost.units).collect::<Vec<_>>(),
        [60, 20]
    );
    assert_eq!(
        (
            order.shipping.units,
            order.total.units,
            order.total.currency.as_str()
        ),
        (10, 90, "USD")
    );
    let asked = counter.0.asked.borrow();
    let tail = asked
        .iter()
        .skip_while(|call| *call != "shipping.quote")
        .map(String::as_str)
        .collect::<Vec<_>>();
    let expected = [
        "shipping.quote",
        "currency.convert",
        "payment.charge 90",
        "depot.ship 2",
        "cart.empty",
        "email.send",
    ];
    assert_eq!(tail, expected);
    assert_eq!(
        *counter.0.letters.borrow(),
        [("ada@fern.example".to_owned(), order.order_id)]
    );
    assert!(counter.0.cart.borrow().is_empty());
}

#[test]
fn failed_email_does_not_fail_the_order() {
    let counter = Counter(fake("email"));
    assert!(counter.place_order(request()).is_ok());
    let lines = counter.0.lines.all();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("warn going on without email")),
        "{lines:?}"
    );
}

#[test]
fn failure_before_the_charge_charges_nothing_and_names_the_handler() {
    for broken in ["cart", "catalog", "currency", "shipping"] {
        let counter = Counter(fake(broken));
        let Err(CheckoutFault::CallFailed(error)) = counter.place_order(request()) else {
            panic!("{broken} fails")
        };
        assert_eq!(
            (error.code, error.message),
            (8, format!("{broken}: no node serves it"))
        );
        assert!(
            !counter
                .0
                .asked
                .borrow()
                .iter()
                .any(|call| call.starts_with("payment")),
            "{broken}"
        );
        assert_eq!(
            counter.0.cart.borrow().len(),
            2,
            "{broken}: the cart is untouched"
        );
    }
}

#[test]
fn refused_card_keeps_the_cart() {
    let refused = |fault: PaymentFault| {
        let counter = Counter(Fake {
            payment: Some(fault),
            ..fake("")
        });
        let answer = counter.place_order(request());
        assert_eq!(counter.0.cart.borrow().len(), 2);
        assert!(
            !counter
                .0
                .asked
                .borrow()
                .iter()
                .any(|call| call.starts_with("depot"))
        );
        answer
    };
    assert_eq!(
        refused(PaymentFault::Declined("old".into())),
        Err(CheckoutFault::Declined("old".into()))
    );
    assert_eq!(
        refused(PaymentFault::Invalid("odd".into())),
        Err(CheckoutFault::Invalid("odd".into()))
    );
}

#[test]
fn failure_after_the_charge_names_the_transaction() {
    let counter = Counter(fake("depot"));
    let Err(CheckoutFault::ShippingFailed(text)) = counter.place_order(request()) else {
        panic!("nothing ships")
    };
    assert!(
        text.contains("tx-1") && text.contains("no node serves it"),
        "{text}"
    );
    assert_eq!(counter.0.cart.borrow().len(), 2, "the cart is kept");
}

#[test]
fn bad_requests_are_refused_before_anybody_is_asked() {
    let mut no_city = request();
    no_city.address.city = " ".into();
    let no_at = OrderRequest {
        email: "ada".into(),
        ..request()
    };
    for bad in [no_city, no_at] {
        let counter = Counter(fake(""));
        assert!(matches!(counter.place_order(bad), Err(CheckoutFault::Invalid(_))));
        assert!(counter.0.asked.borrow().is_empty());
    }
}

#[test]
fn empty_cart_buys_nothing() {
    let counter = Counter(Fake::default());
    assert_eq!(counter.place_order(request()), Err(CheckoutFault::CartEmpty));
}
