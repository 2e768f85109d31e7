//! The whole frontend over a fake world in which any handlers can be made to fail.

use std::cell::RefCell;

use sdk::fake::{Counting, Lines};
use sdk::{CallError, Level};
use shop::{
    AdFault, Address, CartFault, CatalogFault, CheckoutFault, CurrencyFault, Item, Money, Notice, Order,
    OrderItem, OrderRequest, Product, RecommendationFault, SHOP_CURRENCY, ShippingFault,
};

use super::*;

#[derive(Default)]
struct Fake {
    broken: &'static [&'static str],
    cart: RefCell<Vec<Item>>,
    refusal: Option<CheckoutFault>,
    ordered: RefCell<Vec<OrderRequest>>,
    converted: RefCell<u32>,
    lines: Lines,
    random: Counting,
}

impl Fake {
    fn ask(&self, handler: &str) -> Result<(), CallError> {
        if self.broken.contains(&handler) {
            return Err(CallError {
                code: 8,
                message: "no node serves it".into(),
                retryable: true,
            });
        }
        Ok(())
    }
}

fn goods() -> Vec<Product> {
    let product = |id: &str, name: &str| Product {
        id: id.into(),
        name: name.into(),
        summary: "A <fine> thing.".into(),
        description: vec!["Long text.".into()],
        price: Money::from_cents(SHOP_CURRENCY, 1_000),
        categories: vec![if id == "kite" {
            "play".into()
        } else {
            "kitchen".into()
        }],
    };
    vec![
        product("mug", "Mug"),
        product("kettle", "Kettle"),
        product("kite", "Kite"),
    ]
}

impl Catalog for Fake {
    fn list_products(&self) -> Result<Vec<Product>, CatalogFault> {
        self.ask("catalog")?;
        Ok(goods())
    }

    fn get_product(&self, id: String) -> Result<Product, CatalogFault> {
        self.ask("catalog")?;
        goods()
            .into_iter()
            .find(|product| product.id == id)
            .ok_or(CatalogFault::NotFound(id))
    }

    fn search_products(&self, query: String) -> Result<Vec<Product>, CatalogFault> {
        Ok(self
            .list_products()?
            .into_iter()
            .filter(|product| product.id.contains(&query))
            .collect())
    }
}

impl Cart for Fake {
    fn get_cart(&self, _user: String) -> Result<Vec<Item>, CartFault> {
        self.ask("cart")?;
        Ok(self.cart.borrow().clone())
    }

    fn add_item(&self, _user: String, item: Item) -> Result<Vec<Item>, CartFault> {
        self.ask("cart")?;
        if item.quantity == 0 {
            return Err(CartFault::Invalid("the quantity is 0".into()));
        }
        self.cart.borrow_mut().push(item);
        Ok(self.cart.borrow().clone())
    }

    fn empty_cart(&self, _user: String) -> Result<(), CartFault> {
        self.ask("cart")?;
        self.cart.borrow_mut().clear();
        Ok(())
    }
}

impl Checkout for Fake {
    fn place_order(&self, request: OrderRequest) -> Result<Order, CheckoutFault> {
        self.ask("checkout")?;
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let cost = Money::from_cents(&request.currency, 2_000);
        let (id, name) = ("mug".to_owned(), "Mug".to_owned());
        let order = Order {
            order_id: "ORD-77".into(),
            tracking_id: "TT-1".into(),
            transaction_id: "tx-1".into(),
            items: vec![OrderItem {
                product_id: id,
                name,
                quantity: 2,
                cost,
            }],
            shipping: Money::from_cents(&request.currency, 500),
            total: Money::from_cents(&request.currency, 2_500),
            address: request.address.clone(),
        };
        self.ordered.borrow_mut().push(request);
        Ok(order)
    }
}

impl Currency for Fake {
    fn supported_currencies(&self) -> Result<Vec<String>, CurrencyFault> {
        self.ask("currency")?;
        Ok(vec!["EUR".into(), "USD".into()])
    }

    fn convert(&self, amount: Money, to: String) -> Result<Money, CurrencyFault> {
        *self.converted.borrow_mut() += 1;
        self.ask("currency")?;
        Ok(Money {
            currency: to,
            ..amount
        })
    }
}

impl Shipping for Fake {
    fn quote(&self, _address: Address, _items: Vec<Item>) -> Result<Money, ShippingFault> {
        self.ask("shipping")?;
        Ok(Money::from_cents(SHOP_CURRENCY, 500))
    }

    fn ship_order(&self, _address: Address, _items: Vec<Item>) -> Result<String, ShippingFault> {
        Err(ShippingFault::NothingToShip)
    }
}

impl Recommendation for Fake {
    fn list_recommendations(&self, held: Vec<String>) -> Result<Vec<String>, RecommendationFault> {
        self.ask("recommendation")?;
        Ok(goods()
            .into_iter()
            .map(|product| product.id)
            .filter(|id| !held.contains(id))
            .collect())
    }
}

impl Ad for Fake {
    fn get_ads(&self, _categories: Vec<String>) -> Result<Vec<Notice>, AdFault> {
        self.ask("ad")?;
        Ok(vec![Notice {
            text: "Look!".into(),
            product_id: "kite".into(),
        }])
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

fn without(broken: &'static [&'static str]) -> Window<Fake> {
    Window(Fake {
        broken,
        ..Fake::default()
    })
}

fn holding(mut world: Fake, ids: &[&str]) -> Window<Fake> {
    let item = |id: &&str| Item {
        product_id: (*id).to_owned(),
        quantity: 2,
    };
    world.cart = RefCell::new(ids.iter().map(item).collect());
    Window(world)
}

fn request(method: &str, target: &str, body: &str) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = vec![("cookie".to_owned(), "session=s-1; currency=USD".to_owned())];
    let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
    Request {
        method,
        path,
        query,
        headers,
        body: body.as_bytes().to_vec(),
    }
}

fn get(window: &Window<Fake>, target: &str) -> (u16, String) {
    let response = window.handle(request("GET", target, ""));
    (
        response.status,
        String::from_utf8(response.body).expect("pages are UTF-8"),
    )
}

fn post(window: &Window<Fake>, target: &str, body: &str) -> Response {
    window.handle(request("POST", target, body))
}

const BUY: &str = "email=ada%40fern.example&name=Ada+Fern&street=1+Quay&postcode=1&city=Tarn&country=Norway\
                   &card_number=4539148803436467&card_month=1&card_year=2039&card_code=123";

#[test]
fn home_shows_every_product_priced_and_escaped() {
    let (status, page) = get(&without(&[]), "/");
    assert_eq!(status, 200);
    for id in ["mug", "kettle", "kite"] {
        assert!(page.contains(&format!("data-product=\"{id}\"")), "{id}");
    }
    assert!(page.contains("A &lt;fine&gt; thing.") && !page.contains("<fine>"));
    assert!(page.contains("$10.00") && page.contains("data-ad=\"kite\""));
    assert!(page.contains("<option value=\"USD\" selected>"));
}

#[test]
fn search_and_category_narrow_the_window() {
    let (_, found) = get(&without(&[]), "/?q=kite");
    assert!(found.contains("data-product=\"kite\"") && !found.contains("data-product=\"mug\""));
    let (_, kitchen) = get(&without(&[]), "/?category=kitchen");
    assert!(kitchen.contains("data-product=\"mug\"") && !kitchen.contains("data-product=\"kite\""));
    let (status, nothing) = get(&without(&[]), "/?q=%3Cscript%3E");
    assert_eq!(status, 200);
    assert!(nothing.contains("id=\"nothing\"") && !nothing.contains("<script>"));
}

#[test]
fn new_visitor_gets_a_session_and_a_known_one_keeps_it() {
    let window = without(&[]);
    let fresh = window.handle(Request {
        method: "GET".into(),
        path: "/".into(),
        ..Request::default()
    });
    let cookie = fresh.header("set-cookie").expect("a new visitor gets a cookie");
    assert!(
        cookie.starts_with("session=000102030405060708090a0b0c0d0e0f; Path=/;"),
        "{cookie}"
    );
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"));
    assert_eq!(window.handle(request("GET", "/", "")).header("set-cookie"), None);
}

#[test]
fn product_page_offers_it_and_recommends_others() {
    let (status, page) = get(&holding(Fake::default(), &["kettle"]), "/product/mug");
    assert_eq!(status, 200);
    assert!(page.contains("class=\"offer\" data-product=\"mug\"") && page.contains("id=\"add-to-cart\""));
    let shelf = page
        .split("id=\"recommendations\"")
        .nth(1)
        .expect("there is a shelf");
    assert!(shelf.contains("data-product=\"kite\""));
    assert!(!shelf.contains("data-product=\"kettle\"") && !shelf.contains("data-product=\"mug\""));
    assert_eq!(get(&without(&[]), "/product/carpet").0, 404);
}

#[test]
fn pages_come_out_without_those_they_can_do_without() {
    let world = Fake {
        broken: &["ad", "recommendation", "currency", "shipping"],
        ..Fake::default()
    };
    let window = holding(world, &["mug"]);
    for (target, price) in [
        ("/", "€10.00"),
        ("/product/mug", "€10.00"),
        ("/cart", "id=\"total\">€20.00<"),
    ] {
        let (status, page) = get(&window, target);
        assert_eq!(status, 200, "{target}");
        assert!(page.contains(price), "{target}: in the shop's own currency");
        assert!(
            !page.contains("id=\"recommendations\"") && !page.contains("id=\"notices\""),
            "{target}"
        );
    }
    assert_eq!(
        *window.0.converted.borrow(),
        3,
        "a silent handler is asked once per page"
    );
    assert_eq!(get(&without(&["cart"]), "/product/mug").0, 200);
}

#[test]
fn missing_catalog_is_named_on_an_error_page() {
    for target in ["/", "/product/mug"] {
        let (status, page) = get(&without(&["catalog"]), target);
        assert_eq!(status, 502, "{target}");
        assert!(
            page.contains("data-handler=\"catalog\"") && page.contains("no node serves it"),
            "{page}"
        );
    }
    let (status, page) = get(&without(&["cart"]), "/cart");
    assert_eq!(status, 502);
    assert!(page.contains("data-handler=\"cart\""));
}

#[test]
fn adding_redirects_to_the_cart() {
    let window = without(&[]);
    let response = post(&window, "/cart", "product_id=mug&quantity=2");
    assert_eq!(
        (response.status, response.header("location")),
        (303, Some("/cart"))
    );
    let (_, page) = get(&window, "/cart");
    assert!(page.contains("data-quantity=\"2\"") && page.contains("id=\"cart-count\">2<"));
    assert!(
        page.contains("id=\"total\">$25.00"),
        "two mugs and the carriage: {page}"
    );
    assert_eq!(post(&window, "/cart", "product_id=mug&quantity=x").status, 422);
    assert_eq!(post(&window, "/cart", "product_id=mug&quantity=0").status, 422);
    assert_eq!(post(&window, "/cart", "product_id=carpet&quantity=1").status, 404);
    assert_eq!(post(&window, "/cart/empty", "").header("location"), Some("/cart"));
    assert!(get(&window, "/cart").1.contains("id=\"cart-empty\""));
}

#[test]
fn checkout_places_the_order_and_shows_its_id() {
    let window = holding(Fake::default(), &["mug"]);
    let response = post(&window, "/cart/checkout", BUY);
    assert_eq!(response.status, 200);
    let page = String::from_utf8(response.body).expect("pages are UTF-8");
    assert!(page.contains("id=\"order-id\">ORD-77<") && page.contains("id=\"tracking-id\">TT-1<"));
    let ordered = window.0.ordered.borrow();
    let [order] = ordered.as_slice() else {
        panic!("one order")
    };
    assert_eq!((order.user_id.as_str(), order.currency.as_str()), ("s-1", "USD"));
    assert_eq!(
        (order.email.as_str(), order.card.expiry_year),
        ("ada@fern.example", 2039)
    );
}

#[test]
fn refused_checkout_says_why_and_keeps_what_was_typed_but_the_card() {
    let refusal = Some(CheckoutFault::Declined("the card has expired".into()));
    let window = holding(
        Fake {
            refusal,
            ..Fake::default()
        },
        &["mug"],
    );
    let response = post(
        &window,
        "/cart/checkout",
        &BUY.replace("4539148803436467", "4000000000000002"),
    );
    let page = String::from_utf8(response.body).expect("pages are UTF-8");
    assert_eq!(response.status, 422);
    assert!(page.contains("id=\"refusal\"") && page.contains("the card has expired"));
    assert!(page.contains("value=\"Ada Fern\"") && !page.contains("4000000000000002"));
    let odd = post(
        &window,
        "/cart/checkout",
        &BUY.replace("card_month=1", "card_month=soon"),
    );
    assert_eq!(odd.status, 422);
}

#[test]
fn checkout_of_nothing_goes_back_to_the_cart_and_a_silent_one_is_named() {
    let empty = Window(Fake {
        refusal: Some(CheckoutFault::CartEmpty),
        ..Fake::default()
    });
    assert_eq!(
        post(&empty, "/cart/checkout", BUY).header("location"),
        Some("/cart")
    );
    let response = post(
        &holding(
            Fake {
                broken: &["checkout"],
                ..Fake::default()
            },
            &["mug"],
        ),
        "/cart/checkout",
        BUY,
    );
    assert_eq!(response.status, 502);
    assert!(String::from_utf8_lossy(&response.body).contains("data-handler=\"checkout\""));
}

#[test]
fn currency_is_remembered_and_the_way_back_stays_in_the_shop() {
    let window = without(&[]);
    let response = post(&window, "/currency", "currency=EUR&back=%2Fproduct%2Fmug");
    assert_eq!(
        (response.status, response.header("location")),
        (303, Some("/product/mug"))
    );
    assert!(
        response
            .header("set-cookie")
            .is_some_and(|cookie| cookie.starts_with("currency=EUR; Path=/"))
    );
    for elsewhere in [
        "https%3A%2F%2Fevil.example",
        "%2F%2Fevil.example",
        "%2F%5Cevil.example",
        "",
    ] {
        let response = post(&window, "/currency", &format!("currency=EUR&back={elsewhere}"));
        assert_eq!(response.header("location"), Some("/"), "{elsewhere}");
    }
    assert_eq!(
        post(&window, "/currency", "currency=%0D%0A&back=%2F").header("set-cookie"),
        None
    );
}

#[test]
fn files_are_served_and_the_rest_is_not() {
    let window = without(&[]);
    assert_eq!(get(&window, "/health"), (200, "ok\n".into()));
    assert!(get(&window, "/style.css").1.contains("prefers-color-scheme"));
    let picture = window.handle(request("GET", "/pictures/storm-kettle.svg", ""));
    assert_eq!(picture.header("content-type"), Some("image/svg+xml"));
    assert_eq!(get(&window, "/pictures/storm-kettle.png").0, 404);
    assert_eq!(get(&window, "/nowhere").0, 404);
    assert_eq!(post(&window, "/", "").status, 405);
    let wrong = window.handle(request("GET", "/cart/checkout", ""));
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
    let page = window.handle(request("GET", "/", ""));
    assert!(
        page.header("content-security-policy")
            .is_some_and(|policy| policy.starts_with("default-src 'none'"))
    );
}
