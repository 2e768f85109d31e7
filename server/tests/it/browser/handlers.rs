//! What a person does on the handlers' pages: reads a contract, fills a form, calls, uploads, deletes.

use chromium::Page;

use super::cleave;
use super::gallery::Gallery;
use crate::support::component;

/// Fills the form of `currency.convert`, wrongly and then rightly, and reads the answer.
pub(super) async fn call_by_hand(page: &mut Page) {
    cleave::visit(page, "handlers").await;
    page.click("tr[data-handler='currency'] .row-link").await;
    page.wait_for("main[data-page='handler'] [data-caller]").await;
    page.choose("[data-call='function']", "1").await;
    page.wait_for("[id='field/amount/units']").await;

    page.type_into("[id='field/amount/units']", "many").await;
    page.wait_until(
        "the fault at its field",
        "document.querySelector('[data-field=\"/amount/units\"] > .field-wrong').innerText.includes('whole number')",
    )
    .await;
    assert_eq!(
        page.evaluate("document.querySelector('[data-action=call]').disabled")
            .await,
        true
    );
    page.type_into("[id='field/amount/units']", "12").await;
    page.type_into("[id='field/amount/currency']", "EUR").await;
    page.type_into("[id='field/to']", "USD").await;
    page.wait_until(
        "the JSON to follow the form",
        "JSON.parse(document.querySelector('#call-json').value).amount.units === 12",
    )
    .await;
    page.click("[data-action='call']").await;
    page.wait_for("[data-answer]").await;
    assert!(page.text(".answer").await.contains("USD"));
    Gallery::new().take(page, "handler").await;

    page.click(".contract .type-link").await;
    page.wait_until(
        "the definition to have the focus",
        "document.activeElement.classList.contains('type')",
    )
    .await;
    page.click("[data-action='answer-trace']").await;
    page.wait_for("main[data-page='trace']").await;
}

/// Reads what the open trace's call was made with, makes it once more, and finds it among what was recorded.
pub(super) async fn call_again(page: &mut Page) {
    page.wait_for("[data-arguments]").await;
    assert!(page.text("[data-arguments] pre").await.contains("\"units\": 12"));
    Gallery::new().take(page, "trace-arguments").await;
    let before = page.evaluate("location.pathname").await;
    page.click("[data-action='again']").await;
    page.wait_until(
        "the trace of the second call",
        &format!("location.pathname !== {before} && !!document.querySelector('[data-arguments]')"),
    )
    .await;
    cleave::visit(page, "handlers").await;
    page.click("tr[data-handler='currency'] .row-link").await;
    page.wait_for("main[data-page='handler'] [data-caller]").await;
    page.choose("[data-call='function']", "1").await;
    page.click("[data-recorded] summary").await;
    page.click("[data-action='take-arguments']").await;
    page.wait_until(
        "the form to have what was recorded",
        "JSON.parse(document.querySelector('#call-json').value).amount.units === 12",
    )
    .await;
}

/// Uploads a handler by the page's button, and deletes it again.
pub(super) async fn upload(page: &mut Page) {
    cleave::visit(page, "handlers").await;
    page.choose_file(".drop input", &component("examples/hello"))
        .await;
    page.wait_for("[data-said='done'], [data-said='failed']").await;
    if page.text(".drop-said").await.contains("cannot be read") {
        // Chromium itself refuses now and then to read a file that was chosen for it.
        page.choose_file(".drop input", &component("examples/hello"))
            .await;
    }
    page.wait_for("[data-said='done']").await;
    assert!(page.text(".drop-said").await.contains("serves on home"));
    page.wait_for("tr[data-handler='hello']").await;
    Gallery::new().take(page, "handlers-upload").await;
    // A file that serves already is replaced only when that was meant.
    page.choose_file(".drop input", &component("examples/hello"))
        .await;
    page.wait_for("[data-said='asks']").await;
    page.click("tr[data-handler='hello'] .row-link").await;
    page.wait_for("main[data-page='handler'] [data-action='delete']")
        .await;
    page.click("[data-action='delete']").await;
    page.click("[data-action='delete-really']").await;
    page.wait_for("main[data-page='handlers']").await;
    page.wait_until(
        "the handler to be gone",
        "!document.querySelector(\"tr[data-handler='hello']\")",
    )
    .await;
}
