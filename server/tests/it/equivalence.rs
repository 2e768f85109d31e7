//! One recorded workload of the shop gives the same answers together, apart and in groups; and a shop that moves while
//! it is open fails nobody.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Home, Visitor, between, card_form, wait_for};

/// Decides what visitors do.
const SEED: u64 = 0x7E12_7E12;
const STEPS: usize = 60;
const CURRENCIES: [&str; 6] = ["EUR", "USD", "JPY", "GBP", "CHF", "SEK"];
/// Pieces of a page that are made anew for each order.
const MADE_UP: [&str; 3] = [
    "id=\"order-id\">",
    "id=\"tracking-id\">",
    "id=\"transaction-id\">",
];

/// One visit, as it is recorded.
#[derive(Debug, Clone)]
struct Visit {
    method: Method,
    path: String,
    form: Vec<(&'static str, String)>,
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    /// Below `sides`; a multiplicative generator is random enough to choose pages.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides
    }
}

/// The workload: the same for the same products.
fn workload(products: &[String]) -> Vec<Visit> {
    let mut dice = Dice(SEED);
    let get = |path: String| Visit {
        method: Method::GET,
        path,
        form: Vec::new(),
    };
    let post = |path: &str, form: Vec<(&'static str, String)>| Visit {
        method: Method::POST,
        path: path.into(),
        form,
    };
    let card = || {
        card_form("robin@harbour.example")
            .map(|(name, value)| (name, value.to_owned()))
            .to_vec()
    };
    let mut visits = vec![get("/".into()), get("/cart".into())];
    for _ in 0..STEPS {
        let product = products[dice.roll(products.len())].clone();
        let quantity = (dice.roll(5) + 1).to_string();
        visits.push(match dice.roll(19) {
            0 => get("/".into()),
            1 | 2 => post(
                "/currency",
                vec![
                    ("currency", CURRENCIES[dice.roll(6)].into()),
                    ("back", "/".into()),
                ],
            ),
            3..=11 => get(format!("/product/{product}")),
            12 | 13 => post("/cart", vec![("product_id", product), ("quantity", quantity)]),
            14 | 15 => get("/cart".into()),
            16 => get(format!("/?q={}", &product[..4])),
            17 => get("/product/no-such-thing".into()),
            _ => post("/cart/checkout", card()),
        });
    }
    visits.push(post(
        "/cart",
        vec![("product_id", products[0].clone()), ("quantity", "2".into())],
    ));
    visits.push(post("/cart/checkout", card()));
    visits.push(get("/cart".into()));
    visits
}

fn pay(visitor: &mut Visitor, visit: &Visit) -> Result<Answer, String> {
    let form: Vec<_> = visit
        .form
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    visitor.try_visit(visit.method.clone(), &visit.path, &form)
}

/// What must be the same: status, where it leads, and the page without what is made up for each order.
fn essence(answer: &Answer) -> String {
    let mut page = answer.text();
    for mark in MADE_UP {
        let made_up = between(&page, mark, "<").to_owned();
        if !made_up.is_empty() {
            page = page.replace(&made_up, "…");
        }
    }
    format!("{} {}\n{page}", answer.status.as_u16(), answer.header("location"))
}

fn record(home: &Home, visits: &[Visit]) -> Vec<String> {
    let mut visitor = home.visitor();
    let pay = |visit| pay(&mut visitor, visit).unwrap_or_else(|error| panic!("{visit:?}: {error}"));
    visits.iter().map(pay).map(|answer| essence(&answer)).collect()
}

fn placements() -> [Value; 3] {
    [
        json!({"mode": "apart"}),
        json!({"mode": "groups", "groups": [["cart", "checkout"], ["payment", "shipping"]]}),
        json!({"mode": "together"}),
    ]
}

fn products(home: &Home) -> Vec<String> {
    let answer: Value = home
        .call("shop:catalog/catalog", "list-products", &json!([]))
        .expect();
    let products = answer["result"]["ok"].as_array().expect("a list of products");
    products
        .iter()
        .map(|product| product["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn every_placement_gives_the_same_answers() {
    let home = Home::shop().start();
    let visits = workload(&products(&home));
    let together = record(&home, &visits);
    let orders = together
        .iter()
        .filter(|page| page.contains("id=\"order-id\""))
        .count();
    assert!(orders > 0, "the workload buys something");
    assert!(!together.iter().any(|page| page.starts_with('5')), "{together:?}");
    for placement in placements() {
        home.place(&placement);
        let here = record(&home, &visits);
        for ((visit, expected), found) in visits.iter().zip(&together).zip(&here) {
            assert_eq!(found, expected, "{placement}: {} {}", visit.method, visit.path);
        }
    }
}

#[test]
fn a_shop_that_moves_while_it_is_open_fails_nobody() {
    let home = Home::shop().start();
    let visits = workload(&products(&home));
    let (is_over, paid) = (AtomicBool::new(false), AtomicUsize::new(0));
    let customer = || {
        let mut visitor = home.visitor();
        let mut failures = Vec::new();
        for visit in visits.iter().cycle() {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            match pay(&mut visitor, visit) {
                Ok(answer) if !answer.status.is_server_error() => _ = paid.fetch_add(1, Ordering::Relaxed),
                Ok(answer) => failures.push(format!("{} {}: {}", visit.method, visit.path, answer.text())),
                Err(error) => failures.push(format!("{} {}: {error}", visit.method, visit.path)),
            }
        }
        failures
    };
    let more_visits = || {
        let before = paid.load(Ordering::Relaxed);
        wait_for("customers to be served", || {
            let now = paid.load(Ordering::Relaxed);
            if now >= before + 10 {
                Ok(())
            } else {
                Err(format!("{} visits", now - before))
            }
        });
    };
    let failures: Vec<String> = std::thread::scope(|scope| {
        let customers = [scope.spawn(customer), scope.spawn(customer)];
        // Whatever panics in here, the customers must go home.
        let moved = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for placement in placements().iter().cycle().take(5) {
                more_visits();
                home.place(placement);
            }
            more_visits();
        }));
        is_over.store(true, Ordering::Relaxed);
        let failures = customers
            .into_iter()
            .flat_map(|customer| customer.join().expect("a customer comes back"));
        let failures = failures.collect();
        moved.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        failures
    });
    assert!(
        failures.is_empty(),
        "{} of {paid:?} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
