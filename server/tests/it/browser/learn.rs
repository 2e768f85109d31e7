//! The tour, by keyboard alone: each step is done, its proof is there, and what it changed is undone at the end.

use chromium::Page;

use super::gallery::Gallery;

/// Walks from the first step to the last.
pub(super) async fn walk(page: &mut Page) {
    let gallery = Gallery::new();
    page.wait_for("main[data-page='map']").await;
    page.press('g').await;
    page.press('l').await;
    for step in 1..=9 {
        page.wait_for(&format!("[data-step='{step}']")).await;
        page.press_by_keyboard("[data-action='do']").await;
        proof(page, step).await;
        if [1, 5].contains(&step) {
            gallery.take(page, &format!("learn-{step}")).await;
        }
        if step < 9 {
            page.press(']').await;
        }
    }
    let done = page.texts(".lesson-list a.done").await;
    assert_eq!(done.len(), 9, "{done:?}");
    assert_eq!(page.evaluate("location.pathname").await, "/learn/9");
    page.press_by_keyboard("[data-action='undo']").await;
    page.wait_until(
        "the placement to be put back",
        "!document.querySelector('[data-action=undo]')",
    )
    .await;
}

/// Waits for the end of a step, however slow the machine is, as long as it goes on.
async fn proof(page: &mut Page, step: u8) {
    const TURNS_MAX: usize = 4;
    for turn in 1.. {
        let found = page
            .evaluate("document.querySelector('[data-proof]')?.dataset.proof ?? ''")
            .await;
        match found.as_str().unwrap_or_default() {
            "done" => break,
            "failed" => panic!("step {step}: {}", page.text(".proof").await),
            _ if turn > TURNS_MAX => panic!("step {step} does not end: {}", page.text(".proof").await),
            _ => {}
        }
        let ended = "(async () => { for (let at = 0; at < 250; at++) {
            if (['done', 'failed'].includes(document.querySelector('[data-proof]')?.dataset.proof)) break;
            await new Promise(go => setTimeout(go, 100)); } return true })()";
        page.evaluate(ended).await;
    }
    let links = page.attributes("[data-link]", "href").await;
    assert!(!links.is_empty(), "step {step} links what it did");
}
