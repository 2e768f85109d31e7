//! The pages as they look with data and a clock that stand still: the pictures of the documents, and their comparison.
//!
//! Promises: what the pages show was once answered by a real home (`frozen.json`, written by the tour where
//! CLEAVE_UPDATE_FROZEN is `1`); a picture that differs from the kept one in more than [`SHARE_MAX`] of its pixels fails,
//! and the new one is in `target/screenshots`; CLEAVE_UPDATE_DOCS=1 keeps it. Another version of the browser than the
//! one that made the pictures draws letters its own way, so nothing is compared there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chromium::{Chromium, Page, Theme};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::screenshots;
use crate::support::Home;

/// Pixels that may look different, of all: a cursor, a rounding.
const SHARE_MAX: f64 = 0.002;
/// Pictures for reading beside a text.
const SIZE: (u32, u32) = (1280, 860);
const QUALITY: u32 = 62;

/// The pages: a picture's name, the address, what is there when the page is. `A` and `B` are the two purchases.
const PAGES: [(&str, &str, &str); 13] = [
    ("map", "/", ".map-line.crossing"),
    ("traces", "/traces", "tr[data-trace]"),
    ("trace", "/traces/A", "[data-details] [data-stages='nine']"),
    ("flame", "/traces/A?view=flame", ".flame-canvas"),
    ("sequence", "/traces/A?view=sequence", ".seq-call"),
    ("compare", "/compare?a=B&b=A", "tr[data-path]"),
    ("edges", "/edges", "tr[data-edge]"),
    ("queues", "/queues", "tr[data-queue]"),
    ("queue", "/queues/checkout.email", "main h1"),
    ("handlers", "/handlers", "tr[data-handler]"),
    ("handler", "/handlers/currency", ".contract .interface"),
    ("nodes", "/nodes", "[data-node='currency']"),
    ("learn", "/learn/1", "[data-step='1']"),
];

/// Keeps what the page is answered.
const RECORD: &str = "(() => {
    window.kept = {};
    window.underWay = 0;
    const real = window.fetch;
    window.fetch = async (url, init) => {
        window.underWay++;
        try {
            const answer = await real(url, init);
            const path = String(url);
            if (path.startsWith('/api/v1/') && answer.ok && (init?.method ?? 'GET') === 'GET')
                window.kept[path] = await answer.clone().text();
            return answer;
        } finally {
            window.underWay--;
        }
    };
})()";

/// Answers as it was answered then, at that moment; no event comes.
const REPLAY: &str = "(() => {
    const FROZEN = {};
    const real = window.fetch;
    window.missing = [];
    window.fetch = async (url, init) => {
        const path = String(url);
        if (!path.startsWith('/api/v1/')) return real(url, init);
        const text = FROZEN.answers[path];
        if (text === undefined) window.missing.push(path);
        return new Response(text ?? '{}', { status: text === undefined ? 404 : 200 });
    };
    window.EventSource = class extends EventTarget { close() {} };
    const Clock = Date;
    window.Date = class extends Clock {
        constructor(...given) { super(...(given.length ? given : [FROZEN.now])); }
        static now() { return FROZEN.now; }
    };
})()";

/// Whether two pictures look alike: the share of pixels that do not.
const DIFFERENCE: &str = "(async ([a, b]) => {
    const read = async text => {
        const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
        const picture = await createImageBitmap(new Blob([bytes], { type: 'image/webp' }));
        const canvas = new OffscreenCanvas(picture.width, picture.height);
        const context = canvas.getContext('2d');
        context.drawImage(picture, 0, 0);
        return context.getImageData(0, 0, picture.width, picture.height);
    };
    const [one, two] = [await read(a), await read(b)];
    if (one.width !== two.width || one.height !== two.height) return 1;
    let different = 0;
    for (let at = 0; at < one.data.length; at += 4)
        if ([0, 1, 2].some(channel => Math.abs(one.data[at + channel] - two.data[at + channel]) > 40)) different++;
    return different / (one.width * one.height);
})";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Frozen {
    /// In ms since the epoch.
    now: u64,
    /// The two purchases: apart and together.
    a: String,
    b: String,
    /// By path.
    answers: BTreeMap<String, String>,
}

/// Keeps what a home answers to each page, where that is asked for.
pub(super) async fn record(page: &mut Page, url: &str, a: &str, b: &str) {
    if !is_set("CLEAVE_UPDATE_FROZEN") {
        return;
    }
    let script = json!({ "source": RECORD });
    page.command("Page.addScriptToEvaluateOnNewDocument", script)
        .await;
    page.size(SIZE.0, SIZE.1, 1.0).await;
    let mut frozen = Frozen {
        a: a.to_owned(),
        b: b.to_owned(),
        ..Frozen::default()
    };
    for (_, address, ready) in PAGES {
        open(page, url, &frozen, address, ready).await;
        page.wait_until("every answer", "window.underWay === 0").await;
        frozen.now = page.evaluate("Date.now()").await.as_u64().expect("a time");
        let kept = page.evaluate("window.kept").await;
        let kept: BTreeMap<String, String> = serde_json::from_value(kept).expect("texts");
        frozen.answers.extend(kept);
    }
    let text = serde_json::to_string_pretty(&frozen).expect("texts");
    std::fs::write(file(), text + "\n").expect("the source can be written");
}

/// Every page in both themes, beside the pictures that are kept.
pub(super) async fn compare(home: &Home) {
    let text = std::fs::read_to_string(file()).expect("what was recorded");
    let frozen: Frozen = serde_json::from_str(&text).expect("what was recorded");
    let mut chromium = Chromium::start(screenshots()).await;
    let mut page = chromium.open().await;
    let mut judge = chromium.open().await;
    let browser = page.command("Browser.getVersion", json!({})).await["product"].clone();
    let browser = browser.as_str().expect("a name").to_owned();
    let update = is_set("CLEAVE_UPDATE_DOCS");
    let made_by = std::fs::read_to_string(folder().join("browser.txt")).unwrap_or_default();
    if !update && made_by.trim() != browser {
        eprintln!(
            "the pictures were made by `{}`, this is `{browser}`: nothing is compared",
            made_by.trim()
        );
        return;
    }
    let script = REPLAY.replace("const FROZEN = {}", &format!("const FROZEN = {text}"));
    page.command(
        "Page.addScriptToEvaluateOnNewDocument",
        json!({ "source": script }),
    )
    .await;
    page.command("Emulation.setTimezoneOverride", json!({ "timezoneId": "UTC" }))
        .await;
    page.size(SIZE.0, SIZE.1, 1.0).await;
    let mut different = Vec::new();
    for theme in [Theme::Light, Theme::Dark] {
        page.theme(theme).await;
        for (name, address, ready) in PAGES {
            open(&mut page, &home.url(), &frozen, address, ready).await;
            let missing = page.evaluate("window.missing").await;
            assert_eq!(
                missing,
                json!([]),
                "{name} asks for what was not recorded: CLEAVE_UPDATE_FROZEN=1"
            );
            page.rest().await;
            let picture = page
                .command(
                    "Page.captureScreenshot",
                    json!({ "format": "webp", "quality": QUALITY }),
                )
                .await;
            let picture = picture["data"].as_str().expect("a picture").to_owned();
            let file = format!("{name}-{}.webp", theme.name());
            let kept = folder().join(&file);
            let to = if update {
                kept.clone()
            } else {
                screenshots().join(&file)
            };
            write(&to, &BASE64_STANDARD.decode(&picture).expect("base64"));
            let before = BASE64_STANDARD.encode(std::fs::read(&kept).unwrap_or_default());
            let script = format!("{DIFFERENCE}({})", json!([before, picture]));
            let share = judge.evaluate(&script).await;
            if share.as_f64().is_none_or(|share| share > SHARE_MAX) {
                different.push(format!("{file} ({share})"));
            }
        }
    }
    if update {
        write(&folder().join("browser.txt"), format!("{browser}\n").as_bytes());
    }
    assert!(
        different.is_empty(),
        "these look different: {different:?}; see {}, and keep them with CLEAVE_UPDATE_DOCS=1",
        screenshots().display()
    );
}

async fn open(page: &mut Page, url: &str, frozen: &Frozen, address: &str, ready: &str) {
    let address = address.replace('A', &frozen.a).replace('B', &frozen.b);
    page.goto(&format!("{url}{address}")).await;
    page.wait_for(ready).await;
    page.wait_until(
        "nothing to be loading",
        "!document.querySelector('main .skeleton, main .sequence-wait, main .details-wait')",
    )
    .await;
    page.rest().await;
}

fn write(file: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder for pictures");
    std::fs::write(file, bytes).expect("a picture can be written");
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value == "1")
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/browser/frozen.json")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pages")
}
