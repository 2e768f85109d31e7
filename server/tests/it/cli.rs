//! The commands that talk to a running home.

use serde_json::{Value, json};

use crate::support::{Home, SHOP, card_form, cleave, component, wait_for};

/// Runs a command against a home.
fn at(home: &Home, arguments: &[&str]) -> crate::support::Ran {
    cleave(&[arguments, &["--server", &home.url()]].concat())
}

#[test]
fn check_tells_what_files_are_without_starting_anything() {
    let shop: Vec<_> = SHOP
        .iter()
        .map(|name| component(name).display().to_string())
        .collect();
    let files: Vec<_> = std::iter::once("check")
        .chain(shop.iter().map(String::as_str))
        .collect();
    let ran = cleave(&files).ok();
    for name in SHOP {
        assert!(ran.stdout.contains(name), "`{name}` is not told:\n{}", ran.stdout);
    }
    assert!(
        ran.stdout.contains("shop:catalog/catalog@0.1.0"),
        "{}",
        ran.stdout
    );

    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("letter.wasm");
    std::fs::write(&text, "a letter\n").unwrap();
    let catalog = component("catalog").display().to_string();
    let ran = cleave(&["check", &text.display().to_string(), &catalog]).failed(1);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("text, not a WebAssembly component"), "{said}");
    assert!(
        said.contains("shop:catalog/catalog"),
        "the good one is told all the same: {said}"
    );
    cleave(&["check"]).failed(2);
    cleave(&["no-such-command"]).failed(2);
}

#[test]
fn a_home_is_looked_at_called_and_rearranged() {
    let home = Home::shop().start();
    let listed = at(&home, &["ls", "handlers", "--json"]).ok().json();
    let items = listed
        .as_array()
        .or_else(|| listed["items"].as_array())
        .expect("a list");
    let names: Vec<_> = items
        .iter()
        .filter_map(|handler| handler["name"].as_str())
        .collect();
    assert_eq!(names, SHOP);
    for what in ["handlers", "nodes", "edges", "queues"] {
        at(&home, &["ls", what]).ok();
    }
    let ran = at(&home, &["ls"]).ok();
    assert!(
        SHOP.iter().all(|name| ran.stdout.contains(name)),
        "{}",
        ran.stdout
    );

    let ran = at(&home, &["call", "shop:catalog/catalog", "list-products"]).ok();
    assert!(ran.json().to_string().contains("storm-kettle"), "{}", ran.stdout);
    let ran = at(&home, &["call", "shop:catalog/catalog", "get-product", "[7]"]).failed(1);
    assert!(ran.stderr.contains("/args/0"), "{}", ran.stderr);
    let ran = at(&home, &["call", "shop:catalogue/catalog", "list-products"]).failed(1);
    assert!(ran.stderr.contains("shop:catalog/catalog"), "{}", ran.stderr);

    // The command waits: what it said is so.
    let ran = at(&home, &["place", "apart"]).ok();
    assert!(ran.stdout.contains("apart"), "{}", ran.stdout);
    let status = home.placement();
    assert!(status.settled, "{status:?}");
    assert_eq!(home.nodes().len(), 11);
    at(&home, &["place", "together"]).ok();
    assert_eq!(home.nodes().len(), 1);
    at(&home, &["place", "appart"]).failed(2);

    let mut visitor = home.visitor();
    visitor.add("storm-kettle", 1);
    let bought = visitor.post("/cart/checkout", &card_form("robin@harbour.example"));
    let id = bought.header("x-trace-id").to_owned();
    crate::traces::wait_trace(&home, &id);
    let ran = at(&home, &["trace", &id]).ok();
    for name in ["frontend", "checkout", "payment"] {
        assert!(ran.stdout.contains(name), "{}", ran.stdout);
    }
    assert!(at(&home, &["trace"]).ok().stdout.contains("POST /cart/checkout"));
    at(&home, &["trace", &"0".repeat(31)]).failed(1);
    wait_for("the letter to be delivered", || {
        let ran = at(&home, &["queue", "ls", "--json"]).ok();
        let (listed, is_done) = (ran.json(), |queue: &Value| queue["done"] == json!(1));
        let items = listed
            .as_array()
            .or_else(|| listed["items"].as_array())
            .cloned()
            .unwrap_or_default();
        if items.iter().any(is_done) {
            Ok(())
        } else {
            Err(ran.stdout)
        }
    });
    assert!(at(&home, &["queue", "ls"]).ok().stdout.contains("checkout.email"));
    at(&home, &["queue", "show", "checkout.email"]).ok();
    at(&home, &["queue", "retry", "checkout.email"]).ok();
}

#[test]
fn a_home_that_is_not_there_is_named() {
    let ran = cleave(&["ls", "--server", "http://127.0.0.1:9"]).failed(1);
    assert!(
        ran.stderr.contains("127.0.0.1:9") && ran.stderr.contains("cleave up"),
        "{}",
        ran.stderr
    );
}

#[test]
fn load_reports_a_run_and_a_missed_threshold() {
    let home = Home::shop().start();
    let target = format!("http://{}", home.ingress.address());
    let common = [
        "load",
        "--target",
        &target,
        "--rate",
        "20",
        "--duration",
        "2s",
        "--warmup",
        "500ms",
        "--json",
        "-",
    ];
    // A crowded machine may make the generator the limit; then that is the answer, and it outweighs a threshold.
    let expected = |report: &Value, code: i32| {
        if report["generator"]["limited"] == json!(true) {
            4
        } else {
            code
        }
    };
    let ran = at(&home, &common);
    let report = ran.json();
    let ran = ran.failed(expected(&report, 0));
    assert!(!ran.stdout.is_empty());
    assert_eq!(report["schema"], json!(1));
    let placements = report["placements"].as_object().expect("a placement or more");
    let (name, run) = placements.iter().next().expect("one placement");
    assert_eq!(name, "together");
    assert_eq!(run["errors"], json!(0), "{report}");
    assert!(
        run["requests"].as_u64().is_some_and(|count| count > 0),
        "{report}"
    );
    assert!(
        run["latency_ns"]["p99"].as_u64() >= run["latency_ns"]["p50"].as_u64(),
        "{report}"
    );

    let missed = [&common[..], &["--threshold", "p50<1ns"]].concat();
    let ran = at(&home, &missed);
    let code = expected(&ran.json(), 3);
    ran.failed(code);
}
