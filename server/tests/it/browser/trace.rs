//! What a person does with a trace: folds, zooms, looks at it in other ways, follows a message, compares it.

use chromium::Page;

use super::gallery::Gallery;

/// Looks at the open trace in every way.
pub(super) async fn look_around(page: &mut Page, gallery: &Gallery) {
    fold(page).await;
    zoom(page).await;
    for look in ["flame", "sequence", "waterfall"] {
        page.click(&format!("[data-look='{look}']")).await;
        let pressed = format!("[data-look='{look}'][aria-pressed='true']");
        page.wait_for(&pressed).await;
        match look {
            "flame" => {
                let is_drawn = "document.querySelector('.flame-canvas').getBoundingClientRect().height > 60";
                page.wait_until("the flame", is_drawn).await;
                gallery.take(page, "trace-flame").await;
            }
            "sequence" => {
                page.wait_for(".seq .seq-call.seq-crosses").await;
                gallery.take(page, "trace-sequence").await;
            }
            _ => page.wait_for("[data-span]").await,
        }
    }
    page.wait_for("[data-journey] .journey-name[aria-current]").await;
    compare(page, gallery).await;
}

/// By the keys: the first row hides all others, and shows them again.
async fn fold(page: &mut Page) {
    let rows = page.attributes("[data-span]", "data-span").await.len();
    page.evaluate("document.querySelector('.wf-stage').focus()").await;
    for (key, count) in [("Home", rows), ("ArrowLeft", 1), ("ArrowRight", rows)] {
        page.key(key).await;
        let shown = format!(
            "document.querySelectorAll('.wf-row').length >= {count} && (document.querySelectorAll('.wf-row').length === {count} || {count} !== 1)"
        );
        page.wait_until(&format!("{count} rows after {key}"), &shown)
            .await;
    }
}

/// Nearer, which the address says, and back to all of it.
async fn zoom(page: &mut Page) {
    page.press('w').await;
    page.wait_until("a zoom in the address", "location.search.includes('zoom=')")
        .await;
    page.press('0').await;
    page.wait_until("no zoom in the address", "!location.search.includes('zoom=')")
        .await;
}

/// Holds the trace against another one of the same request.
async fn compare(page: &mut Page, gallery: &Gallery) {
    let trace = page.attributes("code", "data-trace-id").await;
    page.click("[data-action='compare']").await;
    page.click("[data-compare]").await;
    page.wait_for("main[data-page='compare'] tr[data-path]").await;
    let paths = page.attributes("tr", "data-path").await;
    assert!(paths.iter().any(|path| path == "payment charge"), "{paths:?}");
    gallery.take(page, "compare").await;
    // The newest change of this run: from together to apart.
    page.click("[data-divided] li:first-child a").await;
    page.wait_until(
        "the traces before and after the change",
        "location.search.includes('from%3D') && !!document.querySelector(\"main[data-page='compare'] tr[data-path]\")",
    )
    .await;
    page.evaluate(&format!(
        "history.pushState(null, '', '/traces/{}'); dispatchEvent(new PopStateEvent('popstate'))",
        trace[0]
    ))
    .await;
    page.wait_for("main[data-page='trace'] [data-span]").await;
}
