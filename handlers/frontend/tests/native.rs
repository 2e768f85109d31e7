//! The whole shop in one native program: each handler's own crate in place of its import, nothing faked but the
//! capabilities. What a visitor does here works as it does over WASM, because it is the same code.

use ad::Board;
use cart::Carts;
use catalog::Shelf;
use checkout::Counter;
use currency::Exchange;
use email::Desk;
use frontend::Window;
use payment::Till;
use recommendation::Friend;
use sdk::fake::{Counting, Lines, Memory, Stopped};
use sdk::http::{Handler, Request, Response};
use sdk::{Clock, Level, Log, Random};
use shipping::Depot;
use shop::*;

/// Every handler and capability, held together by references instead of a runtime.
#[derive(Default)]
struct Native {
    carts: Memory,
    lines: Lines,
    random: Counting,
}

/// A handler's trait, implemented by handing each call to that handler.
macro_rules! served {
    ($contract:ident by |$world:ident| $handler:expr; $($function:ident($($name:ident: $type:ty),*) -> $result:ty;)*) => {
        impl $contract for &Native {
            $(fn $function(&self, $($name: $type),*) -> $result {
                let $world: &Native = self;
                $contract::$function(&$handler, $($name),*)
            })*
        }
    };
}

served! { Ad by |_world| Board; get_ads(categories: Vec<String>) -> Result<Vec<Notice>, AdFault>; }
served! { Catalog by |_world| Shelf;
    list_products() -> Result<Vec<Product>, CatalogFault>;
    get_product(id: String) -> Result<Product, CatalogFault>;
    search_products(query: String) -> Result<Vec<Product>, CatalogFault>;
}
served! { Checkout by |world| Counter(world); place_order(request: OrderRequest) -> Result<Order, CheckoutFault>; }
served! { Currency by |_world| Exchange;
    supported_currencies() -> Result<Vec<String>, CurrencyFault>;
    convert(amount: Money, to: String) -> Result<Money, CurrencyFault>;
}
served! { Email by |world| Desk(world); send_confirmation(recipient: String, order: Order) -> Result<(), EmailFault>; }
served! { Payment by |world| Till(world); charge(amount: Money, card: Card) -> Result<String, PaymentFault>; }
served! { Recommendation by |world| Friend(world);
    list_recommendations(product_ids: Vec<String>) -> Result<Vec<String>, RecommendationFault>;
}
served! { Shipping by |world| Depot(world);
    quote(address: Address, items: Vec<Item>) -> Result<Money, ShippingFault>;
    ship_order(address: Address, items: Vec<Item>) -> Result<String, ShippingFault>;
}
served! { Cart by |world| Carts(&world.carts);
    get_cart(user_id: String) -> Result<Vec<Item>, CartFault>;
    add_item(user_id: String, item: Item) -> Result<Vec<Item>, CartFault>;
    empty_cart(user_id: String) -> Result<(), CartFault>;
}

impl Log for &Native {
    fn log(&self, level: Level, message: &str) {
        self.lines.log(level, message);
    }
}

impl Random for &Native {
    fn random_bytes(&self, count: usize) -> Vec<u8> {
        self.random.random_bytes(count)
    }
}

impl Clock for &Native {
    fn now_seconds(&self) -> u64 {
        Stopped(1_897_000_000).now_seconds()
    }
}

fn send(native: &Native, method: &str, path: &str, body: &str) -> (Response, String) {
    let headers = vec![("cookie".to_owned(), "session=ada; currency=USD".to_owned())];
    let (method, path, body) = (method.to_owned(), path.to_owned(), body.as_bytes().to_vec());
    let response = Window(native).handle(Request {
        method,
        path,
        headers,
        body,
        ..Request::default()
    });
    let page = String::from_utf8_lossy(&response.body).into_owned();
    (response, page)
}

#[test]
fn visitor_browses_fills_a_cart_and_buys() {
    let native = Native::default();
    let (home, window) = send(&native, "GET", "/", "");
    assert_eq!(home.status, 200);
    assert_eq!(
        window.matches("class=\"card\"").count(),
        Shelf.list_products().expect("it never fails").len()
    );

    let (_, page) = send(&native, "GET", "/product/storm-kettle", "");
    assert!(
        page.contains("id=\"price\">$66.94<"),
        "59.50 euros at 1.125: {page}"
    );
    assert!(page.contains("id=\"recommendations\""));

    for item in [
        "product_id=storm-kettle&quantity=2",
        "product_id=harbour-mug&quantity=1",
    ] {
        assert_eq!(send(&native, "POST", "/cart", item).0.status, 303);
    }
    let (_, page) = send(&native, "GET", "/cart", "");
    assert!(
        page.contains("id=\"cart-count\">3<") && page.contains("id=\"total\">$154.35<"),
        "{page}"
    );

    let form = "email=ada%40fern.example&name=Ada&street=1+Quay&postcode=1&city=Tarn&country=Norway\
                &card_number=4539+1488+0343+6467&card_month=1&card_year=2039&card_code=123";
    let (bought, page) = send(&native, "POST", "/cart/checkout", form);
    assert_eq!(bought.status, 200, "{page}");
    assert!(page.contains("id=\"order-id\">ORD-") && page.contains("id=\"tracking-id\">TT-NO-3-"));
    assert!(
        page.contains("id=\"total\">$154.35<"),
        "the cart's total is what is charged"
    );
    assert!(send(&native, "GET", "/cart", "").1.contains("id=\"cart-empty\""));
    let lines = native.lines.all();
    assert!(
        lines.iter().any(|line| line.starts_with("info would send")),
        "{lines:?}"
    );
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("warn") || line.starts_with("error")),
        "{lines:?}"
    );
}

#[test]
fn declined_card_leaves_the_cart_full() {
    let native = Native::default();
    send(&native, "POST", "/cart", "product_id=harbour-mug&quantity=1");
    let form = "email=ada%40fern.example&name=Ada&street=1+Quay&postcode=1&city=Tarn&country=Norway\
                &card_number=4539+1488+0343+6467&card_month=1&card_year=2029&card_code=123";
    let (refused, page) = send(&native, "POST", "/cart/checkout", form);
    assert_eq!(refused.status, 422);
    assert!(page.contains("the card has expired") && page.contains("data-product=\"harbour-mug\""));
}
