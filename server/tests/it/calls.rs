//! Functions called by hand, and the shop bought through the ingress.

use protocol::SpanKind;
use serde_json::{Value, json};

use crate::support::{Home, Req, SHOP, between};

const CATALOG: &str = "shop:catalog/catalog";
const CURRENCY: &str = "shop:currency/currency";

fn money(units: i64) -> Value {
    json!({"currency": "EUR", "units": units, "nanos": 0})
}

#[test]
fn any_function_is_called_by_hand() {
    let home = Home::with(&["catalog", "currency", "guests/hostile-echo"]).start();
    let answer: Value = home.call(CATALOG, "list-products", &json!([])).expect();
    let products = answer["result"]["ok"]
        .as_array()
        .expect("a list of products")
        .clone();
    assert!(products.len() >= 12, "{} products", products.len());
    let id = &products[0]["id"];
    assert!(
        answer["duration_ns"].as_u64().is_some_and(|ns| ns > 0),
        "{answer}"
    );

    // By position, by name, with version, by handler: the same product.
    for (interface, args) in [
        (CATALOG, json!([id])),
        (CATALOG, json!({ "id": id })),
        ("shop:catalog/catalog@0.1.0", json!([id])),
        ("catalog@shop:catalog/catalog", json!([id])),
    ] {
        let answer: Value = home.call(interface, "get-product", &args).expect();
        assert_eq!(answer["result"]["ok"], products[0], "{interface} {args}");
    }

    // The callee's own error is an answer, not a failed call.
    let answer: Value = home
        .call(CATALOG, "get-product", &json!(["no-such-thing"]))
        .expect();
    assert_eq!(answer["result"], json!({"err": {"not-found": "no-such-thing"}}));
    let answer: Value = home
        .call(CURRENCY, "convert", &json!([money(100), "EUR"]))
        .expect();
    assert_eq!(answer["result"], json!({"ok": money(100)}));

    every_type_comes_back(&home);
}

fn every_type_comes_back(home: &Home) {
    let everything = json!({
        "flag": true,
        "small": [255, -128, 65_535, -32_768],
        "large": [4_294_967_295_u32, -2_147_483_648_i64, "18446744073709551615", "-9223372036854775808"],
        "floats": [0.5, "NaN"],
        "letter": "ß",
        "text": "Grüße, 🦜",
        "bytes": {"base64": "AAH/"},
        "points": [{"x": -1, "y": 2.5}],
        "shape": {"named": ["line\nbreak", 7]},
        "colour": "green",
        "rights": ["read", "run"],
        "maybe": null,
        "nested": {"some": null},
        "outcome": {"err": "why"},
    });
    let answer: Value = home
        .call("hostile:guests/echo", "echo-everything", &json!([everything]))
        .expect();
    assert_eq!(answer["result"], everything);
}

#[test]
fn a_recorded_call_is_looked_at_and_made_again() {
    // The caller is in a child, which has to know it too.
    let home = Home::with(&["recommendation", "catalog"])
        .rules("[traces]\nsampling = \"all\"\narguments = true\n")
        .placement("apart")
        .start();
    const INTERFACE: &str = "shop:recommendation/recommendation";
    let answer: Value = home
        .call(INTERFACE, "list-recommendations", &json!([["OLJCESPC7Z"]]))
        .expect();
    let id = answer["trace_id"].as_str().expect("a trace's id");
    let detail = crate::traces::wait_trace(&home, id);
    let calls: Vec<_> = detail
        .spans
        .iter()
        .filter(|row| row.span.kind == SpanKind::Client)
        .collect();
    assert!(calls.len() >= 2, "{} calls", calls.len());
    for call in calls {
        let span = &call.span;
        let told: Value = home
            .api
            .get(&format!("/api/v1/traces/{id}/spans/{}", span.span_id));
        let arguments = &told["arguments"];
        if span.name.starts_with(INTERFACE) {
            assert_eq!(*arguments, json!({"product-ids": ["OLJCESPC7Z"]}));
        }
        let (interface, function) = span.name.rsplit_once('.').expect("a function's name");
        let again: Value = home.call(interface, function, arguments).expect();
        assert_ne!(again["trace_id"], answer["trace_id"]);
        let peer = span.peer.as_ref().expect("who was called");
        let recorded: Value = home
            .api
            .get(&format!("/api/v1/call/{peer}@{interface}/{function}/recorded"));
        let items = recorded["items"].as_array().expect("a list");
        let own = items.iter().find(|item| item["trace_id"] == answer["trace_id"]);
        let own = own.unwrap_or_else(|| panic!("{recorded}"));
        assert_eq!((&own["arguments"], &own["failed"]), (arguments, &json!(false)));
    }
}

#[test]
fn a_call_that_does_not_fit_says_where() {
    let home = Home::with(&["catalog", "currency"]).start();
    let check =
        |interface: &str, function: &str, args: Value, status: u16, pointer: Option<&str>, says: &str| {
            let problem = home.call(interface, function, &args).problem(status);
            assert_eq!(problem.pointer.as_deref(), pointer, "{problem:?}");
            assert!(
                problem.detail.contains(says),
                "`{}` does not say `{says}`",
                problem.detail
            );
            problem.code
        };
    let missing = json!([{"currency": "EUR", "units": 1}, "USD"]);
    assert_eq!(
        check(CURRENCY, "convert", missing, 400, Some("/args/0"), "nanos"),
        "invalid"
    );
    let wrong = json!([{"currency": "EUR", "units": 1, "nanos": "many"}, "USD"]);
    check(CURRENCY, "convert", wrong, 400, Some("/args/0/nanos"), "s32");
    let unknown = json!([{"currency": "EUR", "units": 1, "nanos": 0, "cents": 1}, "USD"]);
    check(
        CURRENCY,
        "convert",
        unknown,
        400,
        Some("/args/0/cents"),
        "`cents` is not known",
    );
    check(CURRENCY, "convert", json!([money(1)]), 400, Some("/args"), "to");
    assert_eq!(
        check(CATALOG, "list-product", json!([]), 404, None, "`list-products`"),
        "not-found"
    );
    check(
        "shop:catalogue/catalog",
        "list-products",
        json!([]),
        404,
        None,
        "shop:catalog/catalog",
    );
    check(
        "nobody@shop:catalog/catalog",
        "list-products",
        json!([]),
        404,
        None,
        "`nobody`",
    );
    check(
        "currency@shop:catalog/catalog",
        "list-products",
        json!([]),
        404,
        None,
        "`currency`",
    );
}

#[test]
fn the_shop_is_bought_through_the_ingress_and_carts_stay() {
    let mut home = Home::shop().start();
    for name in SHOP {
        let handler = home.wait_serving(name);
        assert_eq!(handler.nodes[0].as_str(), "home", "{handler:?}");
        assert_eq!(handler.warnings, Vec::<String>::new(), "{name}");
    }
    let mut visitor = home.visitor();
    let window = visitor.page("/");
    let products: Vec<_> = window
        .match_indices("data-product=\"")
        .map(|(at, _)| &window[at..])
        .collect();
    assert!(products.len() >= 12, "{} products", products.len());
    let product = between(products[3], "data-product=\"", "\"").to_owned();
    let page = visitor.page(&format!("/product/{product}"));
    let euros = between(&page, "id=\"price\">", "<").to_owned();

    let switched = visitor.post("/currency", &[("currency", "JPY"), ("back", "/cart")]);
    assert_eq!(
        (switched.status.as_u16(), switched.header("location")),
        (303, "/cart")
    );
    let yen = between(
        &visitor.page(&format!("/product/{product}")),
        "id=\"price\">",
        "<",
    )
    .to_owned();
    assert_ne!(euros, yen);

    assert!(visitor.page("/cart").contains("id=\"cart-empty\""));
    visitor.add(&product, 2);
    visitor.add(&product, 1);
    assert!(visitor.page("/cart").contains("data-quantity=\"3\""));

    // State lives in home and on disk: neither a restart nor a change of placement moves it.
    let (status, _) = home.interrupt();
    assert!(status.success(), "{status}");
    home.start_again();
    let mut visitor = visitor.at(&home.ingress);
    for placement in [
        json!({"mode": "apart"}),
        json!({"mode": "groups", "groups": [["cart", "frontend"]]}),
    ] {
        home.place(&placement);
        assert!(
            visitor.page("/cart").contains("data-quantity=\"3\""),
            "{placement}"
        );
    }
    home.kill();
    home.start_again();
    let mut visitor = visitor.at(&home.ingress);
    assert!(visitor.page("/cart").contains("data-quantity=\"3\""));

    let thanks = visitor.check_out();
    assert!(
        between(&thanks, "id=\"total\">", "<").contains("JPY") || thanks.contains('¥'),
        "{thanks}"
    );
    assert!(visitor.page("/cart").contains("id=\"cart-empty\""));

    // Every HTTP handler answers at its own address too, and what nobody serves is not found.
    assert_eq!(home.ingress.send(Req::get("/~frontend/health")).text(), "ok\n");
    assert_eq!(
        home.ingress.send(Req::get("/~frontend")).header("location"),
        "/~frontend/"
    );
    assert_eq!(home.ingress.send(Req::get("/~nobody/")).status.as_u16(), 404);
}
