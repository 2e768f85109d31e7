//! What a person does in the list of traces: types a query, selects on the map, counts, saves, compares, reads on.

use chromium::Page;
use serde_json::json;

use super::gallery::Gallery;

const ROW: &str = "tr[data-trace]";

/// Types a query with what is offered, and reads what is wrong with another one.
pub(super) async fn ask(page: &mut Page, gallery: &Gallery) {
    page.wait_until(
        "the map's sentence",
        "document.querySelector('.heat-words').innerText.includes('half took up to')",
    )
    .await;
    page.type_into("[data-query]", "{ handler = chec").await;
    page.wait_for("[data-offer='checkout']").await;
    gallery.take(page, "traces-offers").await;
    page.key("ArrowDown").await;
    page.wait_for("[data-offer='checkout'][aria-selected='true']")
        .await;
    page.key("Enter").await;
    let taken = "document.querySelector('[data-query]').value === '{ handler = checkout '";
    page.wait_until("the offer in the text", taken).await;
    page.wait_for("[data-offer='}']").await;
    page.press('}').await;
    page.key("Enter").await;
    page.wait_until(
        "the query in the address",
        "location.search === '?q=%7B%20handler%20%3D%20checkout%20%7D'",
    )
    .await;
    let all_fit = format!(
        "(rows => rows.length > 0 && rows.every(row => row.querySelector('.dots').ariaLabel.includes('checkout')))(Array.from(document.querySelectorAll('{ROW}')))"
    );
    page.wait_until("only traces with a checkout", &all_fit).await;

    page.type_into("[data-query]", "{ duration > 5 }").await;
    page.key("Enter").await;
    page.wait_for(".query.wrong .query-mirror u").await;
    assert_eq!(page.text(".query-mirror u").await, "5", "the place is marked");
    assert!(
        page.text(".query-words")
            .await
            .contains("expected a duration such as")
    );
    assert_eq!(page.attributes("[data-query]", "aria-invalid").await, ["true"]);
    gallery.take(page, "traces-fault").await;
    page.type_into("[data-query]", " ").await;
    page.key("Enter").await;
    page.wait_until("no query in the address", "location.search === ''")
        .await;
    page.wait_for(ROW).await;
}

/// Waits until the map and the counts are those of the search: what comes later would take the place of what is pressed.
async fn wait_pictures(page: &mut Page) {
    for picture in [".heat-card", ".facets"] {
        page.wait_for(&format!("{picture}[aria-busy='false']")).await;
    }
}

/// Selects by a drag, goes back, and selects by keys.
pub(super) async fn select(page: &mut Page, gallery: &Gallery) {
    page.wait_until(
        "the map",
        "document.querySelector('.heat-words').innerText.includes(' from ')",
    )
    .await;
    let corner = "(box => [box.right - 60, box.bottom - 24])(document.querySelector('.heat-frame').getBoundingClientRect())";
    let told = "document.querySelector('.heat-read').innerText.includes(' to ')";
    page.drag(".heat-frame", corner, told).await;
    let both = "location.search.includes('from=') && /max_[mu]s=/.test(location.search)";
    page.wait_until("the selection in the address", both).await;
    page.wait_for("[data-chip='began']").await;
    page.wait_for("[data-chip='took']").await;
    page.wait_until(
        "what was found",
        "!!document.querySelector('tr[data-trace], [data-face=empty]')",
    )
    .await;
    wait_pictures(page).await;
    gallery.take(page, "traces-selected").await;
    page.evaluate("history.back()").await;
    page.wait_until("the way back", "location.search === ''").await;
    wait_pictures(page).await;
    page.wait_for(ROW).await;

    page.evaluate("document.querySelector('.heat-frame').focus()")
        .await;
    page.key("ArrowLeft").await;
    let cell = page.text(".heat-read [role=status]").await;
    assert!(cell.contains(" trace"), "the cell is told: {cell}");
    page.wait_for("[data-action='heat-open']").await;
    page.key("Enter").await;
    page.wait_until(
        "the cell in the address",
        "/min_[mu]s=|max_[mu]s=|from=|to=/.test(location.search)",
    )
    .await;
    page.wait_for(ROW).await;
    page.evaluate("document.querySelector('.heat-frame').focus()")
        .await;
    page.key("Escape").await;
    page.wait_until("all of it", "location.search === ''").await;
    wait_pictures(page).await;
    page.wait_for(ROW).await;
}

/// Narrows by a count, which becomes a chip, and takes the chip off.
pub(super) async fn count(page: &mut Page) {
    let entry = "[data-facet='request'] [data-value]";
    page.click(entry).await;
    // What stood first may have moved since it was looked at; what is pressed says which one it was.
    let pressed = format!("{entry}[aria-pressed='true']");
    page.wait_for(&pressed).await;
    let name = page.attributes(&pressed, "data-value").await.swap_remove(0);
    page.wait_for("[data-chip='request']").await;
    let query = json!(format!("?q={{ root.name = \"{name}\" }}"));
    page.wait_until(
        "the request in the address",
        &format!("decodeURIComponent(location.search) === {query}"),
    )
    .await;
    let only = format!(
        "(rows => rows.length > 0 && rows.every(row => row.innerText.includes({})))(Array.from(document.querySelectorAll('{ROW}')))",
        json!(name)
    );
    page.wait_until("only that request", &only).await;
    assert_eq!(
        page.evaluate("document.querySelector('[data-query]').value")
            .await,
        "",
        "what a count adds is not in the way of what is typed"
    );
    page.click("[data-chip='request']").await;
    page.wait_until("no filter", "location.search === ''").await;
    wait_pictures(page).await;
    page.wait_for(ROW).await;
}

/// Saves a search, finds it after a reload, and compares what is searched for with it.
pub(super) async fn save(page: &mut Page, gallery: &Gallery) {
    page.click("[data-facet='handler'] [data-value]").await;
    page.wait_for("[data-chip='handler']").await;
    let saved = page.evaluate("location.search").await;
    page.click("[data-action='saved']").await;
    page.type_into(".saved-form input", "my handler & its calls")
        .await;
    page.click("[data-action='save-search']").await;
    page.wait_for("[data-search-name='my handler & its calls'][aria-current]")
        .await;
    gallery.take(page, "traces-saved").await;
    page.evaluate("history.pushState(null, '', '/traces'); location.reload()")
        .await;
    page.wait_until(
        "the page anew",
        "!document.querySelector('[data-chip]') && !!document.querySelector('tr[data-trace]')",
    )
    .await;
    // Another tab saves one of its own; both stay.
    page.evaluate("localStorage.setItem('cleave.search.other', 'status=error')")
        .await;
    page.click("[data-action='saved']").await;
    page.click("[data-search-name='my handler & its calls']").await;
    page.wait_until("the saved search", &format!("location.search === {saved}"))
        .await;
    page.wait_for(ROW).await;

    page.click("[data-chip='handler']").await;
    page.wait_until("no filter", "location.search === ''").await;
    page.click("[data-action='saved']").await;
    page.click("[data-action='compare-search']").await;
    page.wait_for("main[data-page='compare'] tr[data-path]").await;
    page.evaluate("history.back()").await;
    page.wait_for("main[data-page='traces'] tr[data-trace]").await;
    page.click("[data-action='saved']").await;
    page.click("[data-action='delete-search']").await;
    page.wait_until(
        "one less",
        "!document.querySelector(\"[data-search-name^='my handler']\")",
    )
    .await;
    page.key("Escape").await;
}

/// Ticks two traces and compares them.
pub(super) async fn compare(page: &mut Page) {
    let ids = page.attributes(ROW, "data-trace").await;
    for id in &ids[..2] {
        page.click(&format!("tr[data-trace='{id}'] [data-choose]")).await;
    }
    page.click("[data-action='compare-chosen']").await;
    page.wait_for("main[data-page='compare'] tr[data-path]").await;
    let address = format!("location.search === '?a={}&b={}'", ids[0], ids[1]);
    page.wait_until("both in the address", &address).await;
    page.evaluate("history.back()").await;
    page.wait_for("main[data-page='traces'] tr[data-trace]").await;
}

/// Scrolls down, by which the list pauses.
pub(super) async fn scroll_away(page: &mut Page) -> serde_json::Value {
    page.evaluate("scrollTo(0, 500)").await;
    page.wait_for("[data-note='paused']:not([hidden])").await;
    assert!(
        page.text("[data-note='paused']")
            .await
            .starts_with("Paused while you read")
    );
    let is_full = format!(
        "Array.from(document.querySelectorAll('{ROW}')).some(row => row.getBoundingClientRect().bottom >= innerHeight)"
    );
    page.wait_until("rows down to the window's end", &is_full).await;
    page.evaluate(&place()).await
}

/// What came while it was paused was counted, and nothing has moved; back at the top it is there.
pub(super) async fn come_back(page: &mut Page, before: &serde_json::Value) {
    page.wait_until(
        "something new",
        "/[1-9]\\d* new/.test(document.querySelector(\"[data-note='paused']\").innerText)",
    )
    .await;
    assert_eq!(
        page.evaluate(&place()).await,
        *before,
        "nothing moves while it is paused"
    );
    let first = page.attributes(ROW, "data-trace").await.swap_remove(0);
    page.click("[data-action='resume']").await;
    let newer = format!(
        "scrollY === 0 && document.querySelector('{ROW}').dataset.trace !== {}",
        json!(first)
    );
    page.wait_until("the newest at the top", &newer).await;
    page.wait_until(
        "live again",
        "document.querySelector(\"[data-note='paused']\").hidden",
    )
    .await;
}

/// The rows that are seen, and where they are.
fn place() -> String {
    format!(
        "Array.from(document.querySelectorAll('{ROW}'), row => [row.dataset.trace, row.getBoundingClientRect().top]).filter(([, top]) => top >= 0 && top < innerHeight)"
    )
}
