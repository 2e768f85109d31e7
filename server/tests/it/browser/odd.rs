//! A trace that no good program makes, on its page: deep, wide, in circles, without parents, without length, and with names
//! that would be markup.

use chromium::Page;
use http::Method;
use serde_json::{Value, json};
use server::clock::Clock;

use super::gallery::Gallery;
use crate::support::{Home, Req};

const TRACE: &str = "0dd00000000000000000000000000001";
const LEVELS: u64 = 3_000;
const CHILDREN: u64 = 4_000;
const NAMES: [&str; 4] = [
    "<img src=x onerror=alert(1)>",
    "<script>document.title = 'taken'</script>",
    "\u{202e}rotated\u{202c} \u{0} end",
    "شراء 购买 🛒",
];

/// Sends it to a home.
pub(super) fn import(home: &Home) {
    let text = json!({ "resourceSpans": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "odd" } }] },
        "scopeSpans": [{ "spans": spans() }],
    }] });
    let request = Req::new(Method::POST, "/api/v1/traces/import").json(&text);
    let answer = home.api.send(request);
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
}

fn spans() -> Vec<Value> {
    let zero = Clock::system().unix_ns() - 10_000_000_000;
    let span = |id: u64, parent: u64, name: &str, (start, end): (u64, u64)| {
        json!({
            "traceId": TRACE, "spanId": format!("{id:016x}"), "name": name, "kind": 1,
            "parentSpanId": if parent == 0 { String::new() } else { format!("{parent:016x}") },
            "startTimeUnixNano": (zero + start).to_string(), "endTimeUnixNano": (zero + end).to_string(),
        })
    };
    let mut spans = vec![span(1, 0, "odd", (0, 9_000_000))];
    spans.extend((0..LEVELS).map(|level| {
        let parent = if level == 0 { 1 } else { 9_999 + level };
        span(
            10_000 + level,
            parent,
            "deeper",
            (level * 10, 4_000_000 - level * 10),
        )
    }));
    spans.extend((0..CHILDREN).map(|child| {
        let name = format!("child {}", child % 7);
        let start = 4_000_000 + child * 1_000;
        span(20_000 + child, 1, &name, (start, start + 700))
    }));
    for (id, parent, times) in [
        // A circle, one that is its own parent, one whose parent never came.
        (101, 102, (100, 200)),
        (102, 103, (110, 190)),
        (103, 101, (120, 180)),
        (104, 104, (0, 50)),
        (105, 99_999, (10, 90)),
        // Without length, and one that ends before it starts.
        (106, 1, (500, 500)),
        (107, 1, (8_000, 100)),
    ] {
        spans.push(span(id, parent, "odd", times));
    }
    for (at, name) in (0..).zip(NAMES) {
        spans.push(span(
            200 + at,
            1,
            name,
            (8_100_000 + at * 1_000, 8_150_000 + at * 1_000),
        ));
    }
    spans
}

/// Opens it, goes to its last row, and looks at it in every way.
pub(super) async fn look(page: &mut Page, gallery: &Gallery, ui: &str) {
    page.goto(&format!("{ui}/traces/{TRACE}")).await;
    page.wait_for("main[data-page='trace'] [data-span]").await;
    let title = page.evaluate("document.title").await;
    let rows = page
        .wait_until(
            "all rows to be counted",
            "(count => count > 7000 && count)(Number(document.querySelector('.wf-stage').getAttribute('aria-rowcount')))",
        )
        .await;
    page.evaluate("document.querySelector('.wf-stage').focus()").await;
    for (key, row) in [("End", rows.as_u64().unwrap_or_default()), ("Home", 1)] {
        page.key(key).await;
        page.wait_for(&format!(".wf-row.cursor[data-span][aria-rowindex='{row}']"))
            .await;
        let order = page.attributes(".wf-row", "aria-rowindex").await;
        let order: Vec<u64> = order.iter().filter_map(|place| place.parse().ok()).collect();
        assert!(
            order.is_sorted(),
            "who hears the rows hears them in their order: {order:?}"
        );
    }
    for look in ["flame", "sequence", "waterfall"] {
        page.click(&format!("[data-look='{look}']")).await;
        page.wait_for(&format!("[data-look='{look}'][aria-pressed='true']"))
            .await;
    }
    page.wait_for(".wf-row[data-span]").await;
    gallery.take(page, "trace-odd").await;
    let injected = "document.querySelector('main img, main script')";
    assert_eq!(page.evaluate(injected).await, Value::Null, "names are no markup");
    assert_eq!(page.evaluate("document.title").await, title);
}
