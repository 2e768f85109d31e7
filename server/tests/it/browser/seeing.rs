//! What a person does on the map and with the bill: drags, undoes, chooses from a menu, looks back, opens an edge.

use chromium::Page;
use serde_json::json;

const ENTER: u32 = 13;
const LEFT: u32 = 37;

/// Drags a handler out of home's box, reads the forecast on the way, and waits until it runs alone.
pub(super) async fn drag_out(page: &mut Page, handler: &str) {
    page.wait_for("[data-settled='true']").await;
    let outside = "(box => box && [box.left + 40, box.bottom + 16])(document.querySelector(\".map-node[data-node='home']\")?.getBoundingClientRect())";
    let told = format!(
        "document.querySelector(\"[data-plan='drag']\")?.innerText.toLowerCase() === '{handler} alone'
            && document.querySelector('.map-plan').innerText.includes('a call')"
    );
    page.evaluate(
        "document.querySelector('.map-hint').scrollIntoView({ block: 'end', behavior: 'instant' })",
    )
    .await;
    page.drag(&format!(".map-handler[data-handler='{handler}']"), outside, &told)
        .await;
    page.wait_for("[data-plan='done']").await;
    page.wait_for(&format!(".map-node[data-node='{handler}'][data-state='ready']"))
        .await;
    assert_eq!(
        page.evaluate("location.pathname").await,
        "/",
        "the drag was no click"
    );
}

/// Waits until what was foretold stands beside what is measured.
pub(super) async fn wait_measured(page: &mut Page) {
    page.wait_for(".compared tr[data-measured='true']").await;
}

/// Takes it back.
pub(super) async fn undo(page: &mut Page, handler: &str) {
    page.click("[data-action='undo']").await;
    let gone = format!(
        "!document.querySelector(\".map-node[data-node='{handler}']\") && !!document.querySelector(\"[data-settled='true']\")"
    );
    page.wait_until("everything to be together again", &gone).await;
}

/// Opens a handler's menu by keys alone.
pub(super) async fn open_menu(page: &mut Page, handler: &str) {
    let focus = format!(
        "(box => {{ box?.focus(); return document.activeElement === box; }})(document.querySelector({}))",
        json!(format!(".map-handler[data-handler='{handler}']"))
    );
    page.wait_until("the focus on the box", &focus).await;
    if page.texts(".map-menu").await.is_empty() {
        page.press('m').await;
    }
    page.wait_for(".map-menu [role=menuitem]").await;
}

/// Chooses the menu's first entry, which runs the handler alone.
pub(super) async fn choose_first(page: &mut Page, handler: &str) {
    let first = "(item => { item.focus(); return document.activeElement === item && item.dataset.move; })(document.querySelector('[role=menuitem]'))";
    let first = page.wait_until("the first entry", first).await;
    assert_eq!(first, format!("{handler} alone"));
    page.press_named("Enter", ENTER).await;
    // A button is pressed by the character that Enter writes.
    page.press('\r').await;
    page.wait_for(&format!(".map-node[data-node='{handler}'][data-state='ready']"))
        .await;
    page.click("[data-action='close-plan']").await;
}

/// Goes back by the slider and its keys, once a moment has passed that it can show.
pub(super) async fn look_back(page: &mut Page) {
    let ready = "Number(document.querySelector('.hour-slider')?.max) >= 2";
    page.wait_until("some of the hour", ready).await;
    page.evaluate("document.querySelector('.hour-slider').focus()")
        .await;
    page.press_named("ArrowLeft", LEFT).await;
    page.wait_until(
        "a moment before",
        "document.querySelector('h1').innerText.startsWith('How it was at')",
    )
    .await;
    page.wait_until("the moment in the address", "location.search.startsWith('?at=')")
        .await;
}

/// Returns to the present by one key.
pub(super) async fn come_back(page: &mut Page) {
    page.evaluate("document.activeElement.blur()").await;
    page.press('l').await;
    page.wait_until(
        "the present",
        "location.search === '' && !document.querySelector('h1').innerText.startsWith('How it was')",
    )
    .await;
}

/// Opens an edge of the bill and reads its nine steps.
pub(super) async fn open_edge(page: &mut Page, edge: &str) {
    page.click(&format!("tr[data-edge='{edge}'] .row-link")).await;
    page.wait_for(".bill-detail .steps tbody tr").await;
    let steps = page.texts(".bill-detail .steps tbody tr").await;
    assert!(steps.len() >= 9, "{steps:?}");
    let ways = page.texts(".bill-detail .prices .way").await;
    assert_eq!(ways, ["direct", "codec", "uds", "tcp", "quic"]);
    page.wait_until(
        "the edge in the address",
        "location.search.includes('edge=frontend')",
    )
    .await;
}

/// Sorts by another column, then follows what the edge offers to the map, where it is proposed and not done.
pub(super) async fn sort_and_propose(page: &mut Page, edge: &str) {
    page.click("[data-sort='rate']").await;
    page.wait_until(
        "the order in the address",
        "location.search.includes('sort=rate')",
    )
    .await;
    page.click(&format!("tr[data-edge='{edge}'] .instead")).await;
    page.wait_for("main[data-page='map'] [data-plan='proposed']")
        .await;
    let placed = page.attributes(".map-node", "data-node").await;
    assert!(!placed.contains(&"currency".to_owned()), "{placed:?}");
}
