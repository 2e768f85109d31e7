//! What a visitor does in the native shop works as it does over WASM, because it is the same code; only the
//! capabilities are stand-ins.

use catalog::Shelf;
use native::{Shop, World};
use sdk::fake::{Counting, Lines, Memory, Stopped};
use sdk::http::{Request, Response};
use sdk::{Clock, Level, Log, Random};
use shop::Catalog;

#[derive(Default)]
struct Fakes {
    carts: Memory,
    lines: Lines,
    random: Counting,
}

impl World for Fakes {
    type Store = Memory;

    fn carts(&self) -> &Memory {
        &self.carts
    }
}

impl Log for Fakes {
    fn log(&self, level: Level, message: &str) {
        self.lines.log(level, message);
    }
}

impl Random for Fakes {
    fn random_bytes(&self, count: usize) -> Vec<u8> {
        self.random.random_bytes(count)
    }
}

impl Clock for Fakes {
    fn now_seconds(&self) -> u64 {
        Stopped(1_897_000_000).now_seconds()
    }
}

fn native() -> Shop<Fakes> {
    Shop(Fakes::default())
}

fn send(native: &Shop<Fakes>, method: &str, path: &str, body: &str) -> (Response, String) {
    let headers = vec![("cookie".to_owned(), "session=ada; currency=USD".to_owned())];
    let (method, path, body) = (method.to_owned(), path.to_owned(), body.as_bytes().to_vec());
    let response = native.handle(Request {
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
    let native = native();
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
    let lines = native.0.lines.all();
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
    let native = native();
    send(&native, "POST", "/cart", "product_id=harbour-mug&quantity=1");
    let form = "email=ada%40fern.example&name=Ada&street=1+Quay&postcode=1&city=Tarn&country=Norway\
                &card_number=4539+1488+0343+6467&card_month=1&card_year=2029&card_code=123";
    let (refused, page) = send(&native, "POST", "/cart/checkout", form);
    assert_eq!(refused.status, 422);
    assert!(page.contains("the card has expired") && page.contains("data-product=\"harbour-mug\""));
}
