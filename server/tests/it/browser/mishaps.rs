//! What goes wrong around an open page: its server is gone and comes back, what it shows is deleted, the line is slow,
//! another tab does the same, names are not what they should be.
//!
//! Promises: each scenario begins with a page that is fine, and ends with one that is, without a reload by hand.

use chromium::{Chromium, Page, Theme};
use http::Method;
use serde_json::{Value, json};

use super::axe;
use super::cleave;
use super::screenshots;
use crate::support::{Client, Home, Req, wait_for};

/// A line as of a phone: 1.6 Mbit/s down, 750 kbit/s up, 150 ms there and back.
const SLOW: [u64; 3] = [150, 200_000, 93_750];

/// Names that do what names should not: markup, control characters, and signs that turn the writing around.
const NAMES: [&str; 4] = [
    "<img src=x onerror=\"window.pwned=1\">",
    "tab\tline\nbell\u{7}null\u{0}end",
    "turned\u{202e}desrever\u{2066}open",
    "دفع-الفاتورة",
];

/// Answers what is asked of the placement with the first answer of all, and not before it is let go.
const HOLD: &str = "(() => {
    const real = window.fetch;
    const gate = new Promise(open => { window.letGo = open; });
    let first;
    window.fetch = async (url, init) => {
        if (String(url) !== '/api/v1/placement' || (init?.method ?? 'GET') !== 'GET') return real(url, init);
        if (first === undefined) {
            const answer = await real(url, init);
            first = await answer.clone().text();
            return answer;
        }
        window.held = true;
        await gate;
        setTimeout(() => { window.answered = true; });
        return new Response(first);
    };
})()";

/// Does what waits for home, which the thread of the browser must not.
fn aside<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(act).join().expect("it says itself what failed"))
}

/// A call that leaves a trace; gives the trace's id.
fn call(home: &Home) -> String {
    aside(|| call_and_wait(home))
}

fn call_and_wait(home: &Home) -> String {
    let amount = json!({ "currency": "EUR", "units": 1, "nanos": 0 });
    let answer = home.call("shop:currency/currency", "convert", &json!([amount, "USD"]));
    let answer: Value = answer.expect();
    let id = answer["trace_id"]
        .as_str()
        .expect("a call by hand is traced")
        .to_owned();
    wait_for("the trace", || {
        let answer = home
            .api
            .send(Req::new(Method::GET, &format!("/api/v1/traces/{id}")));
        (answer.status.as_u16() == 200)
            .then_some(())
            .ok_or_else(|| answer.text())
    });
    id
}

/// The server ends and comes back, with another store: the list and the trace say so, and go on.
pub(super) async fn restart(home: &mut Home) {
    let id = call(home);
    let mut chromium = Chromium::start(screenshots()).await;
    let [mut list, mut trace] = [chromium.open().await, chromium.open().await];
    list.goto(&format!("{}/traces", home.url())).await;
    list.wait_for(&format!("tr[data-trace='{id}']")).await;
    trace.goto(&format!("{}/traces/{id}", home.url())).await;
    trace.wait_for("[data-span]").await;
    for page in [&mut list, &mut trace] {
        page.evaluate("window.stayed = true").await;
        here(page).await;
    }
    aside(|| home.kill());
    for page in [&mut list, &mut trace] {
        away(page).await;
    }
    // What is here needs no server.
    trace.click("[data-span] .wf-name").await;
    trace.wait_for("[data-span][aria-selected='true']").await;
    aside(|| home.start_again_in_place());
    let second = call(home);
    for page in [&mut list, &mut trace] {
        here(page).await;
    }
    list.wait_for(&format!("tr[data-trace='{second}']")).await;
    trace.wait_for("[data-details] [data-stages]").await;

    // Deleted while it is open: said, and what was read can still be seen.
    aside(|| home.kill());
    away(&mut trace).await;
    for file in ["traces.db", "traces.db-wal", "traces.db-shm"] {
        // The last two are there only where something was left to be written.
        let _ = std::fs::remove_file(home.data().join(file));
    }
    aside(|| home.start_again_in_place());
    here(&mut trace).await;
    trace.wait_for("[data-finding='gone']").await;
    trace.wait_for("[data-span]").await;
    axe::check(&mut trace, "trace-gone").await;
    here(&mut list).await;
    list.wait_until("no trace", "!document.querySelector('tr[data-trace]')")
        .await;
    let third = call(home);
    list.wait_for(&format!("tr[data-trace='{third}']")).await;
    // The way back to what there is.
    trace.click("[data-nav='traces']").await;
    trace.wait_for(&format!("tr[data-trace='{third}']")).await;
    for page in [&mut list, &mut trace] {
        assert_eq!(
            page.evaluate("window.stayed").await,
            true,
            "it was not loaded again"
        );
        let mut complaints = page.complaints().await;
        // That the server did not answer, and that the trace is gone, the browser says by itself.
        complaints.retain(|complaint| !complaint.contains("net::ERR_") && !complaint.contains(" 404 "));
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}

/// The banner says that the server is away.
async fn away(page: &mut Page) {
    page.wait_for("[data-banner='lost']:not([hidden])").await;
}

/// The page hears its server.
async fn here(page: &mut Page) {
    page.wait_until("the stream", "document.querySelector(\"[data-banner='lost']\")?.hidden && !!document.querySelector('.version')?.innerText")
        .await;
}

/// What the page asks after a change of placement is answered when the stream has told more already.
pub(super) async fn overtaken(home: &Home) {
    let mut chromium = Chromium::start(screenshots()).await;
    let mut page = chromium.open().await;
    page.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": HOLD }))
        .await;
    page.goto(&home.url()).await;
    page.wait_for("[data-settled='true']").await;
    cleave::place_apart(&mut page, 1).await;
    page.wait_until("the page to have asked", "window.held === true")
        .await;
    page.evaluate("window.letGo()").await;
    page.wait_until("its answer", "window.answered === true").await;
    page.rest().await;
    assert_eq!(
        page.attributes("[data-action='apart']", "aria-pressed").await,
        ["true"],
        "what is shown is newer than the answer"
    );
}

/// Two tabs of one browser: both are live, and what one remembers the other knows.
pub(super) async fn two_tabs(home: &Home) {
    let mut chromium = Chromium::start(screenshots()).await;
    let [mut one, mut two] = [chromium.open().await, chromium.open().await];
    for page in [&mut one, &mut two] {
        page.goto(&format!("{}/traces", home.url())).await;
        page.wait_for("[data-face='empty']").await;
    }
    let id = call(home);
    for page in [&mut one, &mut two] {
        page.wait_for(&format!("tr[data-trace='{id}']")).await;
    }
    // Paused in one is paused in that one.
    one.click("[data-action='pause']").await;
    let second = call(home);
    two.wait_for(&format!("tr[data-trace='{second}']")).await;
    one.wait_until(
        "what is missed to be counted",
        "document.querySelector('[data-action=pause]').innerText.includes('1 new')",
    )
    .await;
    for theme in ["light", "dark", "system"] {
        one.click("[data-action='theme']").await;
        for page in [&mut one, &mut two] {
            page.wait_for(&format!("html[data-theme='{theme}']")).await;
        }
    }
    // Steps that were done in one are done in the other.
    one.evaluate("localStorage.setItem('cleave.learn.done', '1,2')")
        .await;
    two.click("[data-nav='learn']").await;
    two.wait_for("[data-step='3']").await;
    for page in [&mut one, &mut two] {
        let complaints = page.complaints().await;
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}

/// A slow line: something is seen at once, nothing jumps, and nothing is fetched twice.
pub(super) async fn slow(home: &Home) {
    let mut chromium = Chromium::start(screenshots()).await;
    let mut page = chromium.open().await;
    let [latency, down, up] = SLOW;
    page.command(
        "Network.emulateNetworkConditions",
        json!({ "offline": false, "latency": latency, "downloadThroughput": down, "uploadThroughput": up }),
    )
    .await;
    page.goto(&home.url()).await;
    page.wait_for(".map-handler").await;
    let seen = page
        .evaluate(
            "(async () => {
                const shifts = [];
                new PerformanceObserver(list => shifts.push(...list.getEntries().map(entry => [entry.value, entry.sources.map(source => `${source.node?.className} ${source.node?.parentElement?.className} ${JSON.stringify(source.previousRect)} ${JSON.stringify(source.currentRect)}`)])))
                    .observe({ type: 'layout-shift', buffered: true });
                await new Promise(go => setTimeout(go, 100));
                const resources = performance.getEntriesByType('resource');
                return {
                    shift: shifts.reduce((sum, one) => sum + one[0], 0),
                    shifts,
                    paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
                    shell: resources.find(entry => /app-.*wasm$/.test(entry.name)).responseEnd,
                    names: resources.map(entry => entry.name),
                };
            })()",
        )
        .await;
    let number = |key: &str| seen[key].as_f64().expect("a number");
    assert!(
        number("paint") < number("shell"),
        "a face before the module: {seen}"
    );
    assert!(
        number("shift") < 0.02,
        "things jump by {}: {seen}",
        number("shift")
    );
    let mut names: Vec<&str> = seen["names"]
        .as_array()
        .expect("names")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "fetched twice: {seen}");
    // Going on: the chunk of the page that is pointed at is fetched once, and its page waits with a face.
    page.click("[data-nav='learn']").await;
    page.wait_for("main[data-page='learn'] [role=status], main[data-page='learn'] h1")
        .await;
    page.wait_for("main[data-page='learn'] h1").await;
    let complaints = page.complaints().await;
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// A chunk that cannot be had says so, and comes at the second try.
pub(super) async fn lost_chunk(home: &Home) {
    let mut chromium = Chromium::start(screenshots()).await;
    let mut page = chromium.open().await;
    let blocked = |patterns: Value| json!({ "urls": patterns });
    page.command(
        "Network.setBlockedURLs",
        blocked(json!(["*/assets/nodes-*.wasm"])),
    )
    .await;
    page.goto(&home.url()).await;
    page.wait_for(".map-handler").await;
    page.click("[data-nav='nodes']").await;
    page.wait_for("main[data-page='nodes'] [data-face='error']").await;
    axe::check(&mut page, "chunk-lost").await;
    page.command("Network.setBlockedURLs", blocked(json!([]))).await;
    page.click("[data-action='retry']").await;
    page.wait_for("main[data-page='nodes'] [data-node='home']").await;
    let mut complaints = page.complaints().await;
    complaints.retain(|complaint| !complaint.contains("net::ERR_"));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Spans of a foreign program with such names, of which one never had its parent.
pub(super) async fn odd_names(home: &Home) {
    let id = aside(|| send_odd_spans(home));
    let mut chromium = Chromium::start(screenshots()).await;
    let mut page = chromium.open().await;
    let trace = format!("/traces/{id}");
    for (name, address) in [
        ("traces", "/traces".to_owned()),
        ("trace", trace.clone()),
        ("span", format!("{trace}?span=00000000000000a1")),
        ("flame", format!("{trace}?view=flame")),
        ("sequence", format!("{trace}?view=sequence")),
        ("compare", format!("/compare?a={id}&b={id}")),
        ("edges", "/edges".to_owned()),
        ("map", "/".to_owned()),
        ("nodes", "/nodes".to_owned()),
        ("handlers", "/handlers".to_owned()),
    ] {
        page.goto(&format!("{}{address}", home.url())).await;
        page.wait_for("main h1").await;
        let file = format!("names-{name}-1280.png");
        page.photograph(&screenshots().join(&file)).await;
        axe::check(&mut page, &file).await;
        let wide = page.sticks_out().await;
        assert!(wide.is_empty(), "{name} scrolls sideways: {wide:#?}");
        assert_eq!(
            page.evaluate("window.pwned ?? document.querySelector('main img[src]')")
                .await,
            Value::Null
        );
        if name == "trace" {
            page.wait_for("[data-span='00000000000000a3']").await;
            let orphans = page.text("main header").await;
            assert!(orphans.contains("1 span without their parent"), "{orphans}");
        }
        if matches!(name, "trace" | "traces") {
            let text = page.evaluate("document.querySelector('main').innerText").await;
            let text = text.as_str().expect("a text");
            assert!(text.contains(NAMES[0]), "{text}");
            let turns = ['\u{202e}', '\u{2066}'];
            assert!(
                !text.contains(turns),
                "signs that are not seen turn what stands around them: {text:?}"
            );
        }
    }
    page.theme(Theme::Light).await;
    cleave::visit(&mut page, "traces").await;
    let complaints = page.complaints().await;
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Sends them, each the child of the one before; but of the last the parent never comes. Gives the trace's id.
fn send_odd_spans(home: &Home) -> &'static str {
    let door = home.api.get::<Value>("/api/v1/status")["otlp"]["listen"].clone();
    let door = Client::new(door.as_str().expect("the door is open"));
    let id = "0af7651916cd43dd8448eb211c80319c";
    // Home began a moment ago.
    let now = std::fs::metadata(home.rules_file()).and_then(|file| file.modified());
    let now = now.expect("the rules are there");
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .expect("now is after 1970")
        .as_nanos();
    let services = NAMES.iter().enumerate().map(|(index, name)| {
        let (start, end) = (
            now - 9_000_000 + index as u128 * 1_000_000,
            now - index as u128 * 1_000_000,
        );
        let parent = match index {
            0 => String::new(),
            3 => "00000000000000ff".to_owned(),
            _ => format!("00000000000000a{}", index - 1),
        };
        json!({
            "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": name } }] },
            "scopeSpans": [{ "spans": [{
                "traceId": id, "spanId": format!("00000000000000a{index}"), "parentSpanId": parent, "name": name,
                "kind": 2, "startTimeUnixNano": start.to_string(), "endTimeUnixNano": end.to_string(),
                "attributes": [{ "key": name, "value": { "stringValue": name } }],
                "status": { "code": 2, "message": name },
                "events": [{ "timeUnixNano": end.to_string(), "name": name }],
            }] }],
        })
    });
    let body = json!({ "resourceSpans": services.collect::<Vec<_>>() });
    let answer = door.send(Req::new(Method::POST, "/v1/traces").json(&body));
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    wait_for("the spans", || {
        let answer = home
            .api
            .send(Req::new(Method::GET, &format!("/api/v1/traces/{id}")));
        let all = answer.text().matches("00000000000000a3").count() > 0;
        all.then_some(()).ok_or_else(|| answer.text())
    });
    id
}
