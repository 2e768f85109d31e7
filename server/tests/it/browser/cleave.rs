//! What a person does in Cleave: finds a trace, reads its waterfall and steps, presses the switch, looks at lists.

use std::collections::BTreeSet;

use chromium::Page;
use serde_json::json;

/// Goes to a page by the navigation.
pub(super) async fn visit(page: &mut Page, name: &str) {
    page.click(&format!("[data-nav='{name}']")).await;
    page.wait_for(&format!("main[data-page='{name}']")).await;
}

/// Lists only the traces in which a handler took part.
pub(super) async fn filter(page: &mut Page, handler: &str) {
    page.wait_for("[data-facet='handler'] [data-value]").await;
    let value = format!("[data-facet='handler'] [data-value='{handler}']");
    if page.texts(&value).await.is_empty() {
        page.click("[data-facet='handler'] .facet-more").await;
    }
    page.click(&value).await;
    page.wait_until(
        "the filter in the address",
        &format!("location.search === '?handler={handler}'"),
    )
    .await;
}

/// Waits in the list of traces for a checkout in a placement, which comes without a reload, and opens it.
/// Gives the trace's id.
pub(super) async fn open_checkout(page: &mut Page, placement: &str) -> String {
    page.wait_for("main[data-page='traces']").await;
    let row = format!(
        "Array.from(document.querySelectorAll('tr[data-trace]')).find(row =>
            row.querySelector('.row-link').innerText.includes('POST /cart/checkout')
            && row.querySelector('.placement').innerText.trim() === '{placement}').dataset.trace"
    );
    let id = page
        .wait_until(&format!("a checkout {placement} among the traces"), &row)
        .await;
    let id = id.as_str().expect("an id").to_owned();
    page.click(&format!("tr[data-trace='{id}'] .row-link")).await;
    page.wait_for("main[data-page='trace'] [data-span]").await;
    assert_eq!(page.attributes("code", "data-trace-id").await, [id.as_str()]);
    id
}

/// Waits until the waterfall shows these handlers (nodes send their spans a little later), and gives the nodes that it
/// names.
pub(super) async fn read_waterfall(page: &mut Page, handlers: &[&str]) -> BTreeSet<String> {
    for name in handlers {
        page.wait_for(&format!("[data-span][data-handler='{name}']"))
            .await;
    }
    let nodes = page.attributes("[data-span]", "data-node").await;
    nodes.into_iter().collect()
}

/// Selects the call to a handler and reads its nine steps.
pub(super) async fn read_steps(page: &mut Page, handler: &str) {
    let row = format!("[data-span][data-handler='{handler}']");
    page.click(&format!("{row} .wf-name")).await;
    page.wait_for(&format!("{row}[aria-selected='true']")).await;
    let span = page
        .attributes(&format!("{row}[aria-selected='true']"), "data-span")
        .await;
    page.wait_for(&format!("[data-details='{}'] [data-stages='nine']", span[0]))
        .await;
    let address = page.evaluate("location.search").await;
    assert_eq!(
        address,
        format!("?span={}", span[0]),
        "the address names what is selected"
    );

    let steps: BTreeSet<String> = page.attributes("tr", "data-step").await.into_iter().collect();
    let nine: BTreeSet<String> = (1..=9).map(|step| step.to_string()).collect();
    assert_eq!(steps, nine);
    let times = page.texts("tr[data-step] td:nth-child(4)").await;
    let units = ["ns", "µs", "ms", " s"];
    assert!(
        times
            .iter()
            .all(|time| units.iter().any(|unit| time.ends_with(unit))),
        "{times:?}"
    );
}

/// Presses the switch and waits until every process is there and the placement is in force.
pub(super) async fn place_apart(page: &mut Page, children: usize) {
    page.click("[data-action='apart']").await;
    let ready = "document.querySelectorAll(\".map-node[data-state='ready']:not([data-node='home'])\").length";
    let shown = format!("{ready} === {children} && !!document.querySelector(\"[data-settled='true']\")");
    page.wait_until(&format!("{children} ready nodes and a settled placement"), &shown)
        .await;
    assert_eq!(
        page.attributes("[data-action='apart']", "aria-pressed").await,
        ["true"]
    );
    let error = page.texts("[data-placement-error]").await;
    assert!(error.is_empty(), "{error:?}");
}

/// Waits until a queue has worked off so many messages and holds none.
pub(super) async fn wait_done(page: &mut Page, queue: &str, done: u64) {
    let row = json!(format!("tr[data-queue='{queue}']"));
    let cells = format!("Array.from(document.querySelector({row}).cells, cell => cell.innerText.trim())");
    let is_done = format!("(cells => cells[1] === '0' && Number(cells[7]) >= {done} && cells)({cells})");
    page.wait_until(&format!("{done} messages of {queue} to be done"), &is_done)
        .await;
}

/// The handlers of the list that serve.
pub(super) async fn serving(page: &mut Page) -> BTreeSet<String> {
    let serving = page.wait_until(
        "every handler to serve",
        "(rows => rows.length > 0 && rows.every(row => row.cells[1].innerText.trim() === 'serving')
            && rows.map(row => row.dataset.handler))(Array.from(document.querySelectorAll('tr[data-handler]')))",
    );
    serde_json::from_value(serving.await).expect("names")
}
