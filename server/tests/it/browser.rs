//! A person in a real browser.

mod chromium;
mod connection;
mod page;

use std::time::Duration;

use self::chromium::Chromium;

/// Longer than anything here takes on a slow machine; nothing waits for it to pass.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Scenario: a page does everything that a good page does not. If this went unnoticed, so would it elsewhere.
#[tokio::test]
async fn a_page_that_misbehaves_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.html");
    let text = "<!doctype html><title>bad</title>
        <meta http-equiv='content-security-policy' content=\"style-src 'none'\">
        <img src='missing.png' alt=''><p style='color: red'>styled</p><div id='wide'>&nbsp;</div>
        <button id='button'>press</button><input id='field' value='before'>
        <script>
            document.querySelector('#wide').style.width = '3000px';
            console.error('a word');
            document.querySelector('#button').onclick = () => { document.title = 'pressed'; throw new Error('thrown') };
        </script>";
    std::fs::write(&file, text).unwrap();

    let mut chromium = Chromium::start().await;
    let mut page = chromium.open().await;
    page.goto(&format!("file://{}", file.display())).await;
    page.click("#button").await;
    page.wait_until("the press", "document.title === 'pressed'").await;
    page.type_into("#field", "after").await;
    assert_eq!(
        page.evaluate("document.querySelector('#field').value").await,
        "after"
    );

    let complaints = page.complaints().await;
    for word in [
        "a word",
        "missing.png",
        "thrown",
        "ontent security policy",
        "Content Security Policy",
    ] {
        assert!(
            complaints.iter().any(|complaint| complaint.contains(word)),
            "{word}: {complaints:#?}"
        );
    }
    let wide = page.sticks_out().await;
    assert!(wide.iter().any(|element| element.starts_with("div.")), "{wide:?}");
}
