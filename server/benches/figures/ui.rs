//! The pages as a person has them: a real browser in front of a real home, whose store holds traces of 10,000, 100,000 and
//! a million spans.
//!
//! Each time is taken by the page's own clock, from the navigation on, to the frame after the one that answered a key; a
//! window is opened anew each time and shares no cache and no compiled code with others. Browser, home and this program
//! share the machine.

mod frames;
mod ground;
mod opening;
mod tail;

use std::path::Path;

use chromium::{Chromium, Page};
use server::shutdown::Tasks;
use tokio::runtime::Runtime;

use self::frames::Frames;
use self::ground::{LARGE, PAIR, SMALL};
use self::opening::{Opened, api, median, number, several};
use crate::process::{Process, lend_components};
use crate::table::{Bound, Row, quantile, rounded};

/// What measures a page from inside.
const PROBE: &str = include_str!("ui/probe.js");
/// How often each page is opened; with a home that has just started, fewer times.
const TIMES: usize = 7;
const TIMES_COLD: usize = 3;
/// What is searched for, and how often.
const SEARCHES: [&str; 3] = [
    "charge",
    "{ log =~ \"payment was refused\" }",
    "{ .cleave.args.bytes > 900 }",
];
const RULES: &str =
    "[ingress]\nroot = \"frontend\"\n[traces]\nsampling = \"all\"\n[otlp]\nlisten = \"127.0.0.1:0\"\n";

/// A home in a directory that stays, and a browser.
struct House<'a> {
    directory: &'a Path,
    home: Process,
    chromium: Chromium,
    tasks: Tasks,
}

/// All rows of `ui`.
pub fn rows(executor: &Runtime) -> Vec<Row> {
    let directory = tempfile::tempdir().expect("a directory for home");
    std::fs::write(directory.path().join("cleave.toml"), RULES).expect("home's rules");
    lend_components(directory.path());
    executor.block_on(async {
        ground::fill(&directory.path().join("data")).await;
        let mut house = House {
            directory: directory.path(),
            home: home(directory.path()),
            chromium: Chromium::start(directory.path()).await,
            tasks: Tasks::new(),
        };
        let mut rows = house.first_load().await;
        rows.push(house.small().await);
        rows.extend(house.large().await);
        rows.extend(house.diff().await);
        rows.push(house.tail().await);
        rows
    })
}

fn home(directory: &Path) -> Process {
    Process::cleave(directory, &["Cleave", "OTLP"])
}

impl House<'_> {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.home.url("Cleave"))
    }

    /// Another process with the same store: nothing of it is in memory.
    fn start_again(&mut self) {
        // The store belongs to one process.
        self.home.stop();
        self.home = home(self.directory);
    }

    async fn first_load(&mut self) -> Vec<Row> {
        let url = self.url("/");
        // The first handlers are compiled meanwhile.
        let (_, page) = Opened::new(&mut self.chromium, &url, "map()").await;
        page.close().await;
        let (opened, page) = several(TIMES, &mut self.chromium, (&url, "map()"), async || None).await;
        page.close().await;
        let (answered, words) = median(&opened);
        let carried: Vec<f64> = opened.iter().map(Opened::carried).collect();
        vec![
            told(
                "first_load_kb",
                quantile(&carried, 1.0) / 1_024.0,
                (450.0, 350.0),
                "the page's files over the network with their headers, Brotli, KiB; without the API's answers",
            ),
            told(
                "first_load_ms",
                answered,
                (1_200.0, 800.0),
                &format!("the map, to an answered key: {words}"),
            ),
        ]
    }

    async fn small(&mut self) -> Row {
        let url = self.url(&format!("/traces/{SMALL}"));
        let (opened, page) = several(TIMES, &mut self.chromium, (&url, "trace()"), async || None).await;
        page.close().await;
        opening::record(&mut self.chromium, &url, "trace()").await;
        let (answered, words) = median(&opened);
        told(
            "open_10k_ms",
            answered,
            (800.0, 400.0),
            &format!("{words}; {}", api(&opened, "/rows")),
        )
    }

    async fn large(&mut self) -> Vec<Row> {
        let mut cold = Vec::new();
        for _ in 0..TIMES_COLD {
            self.start_again();
            let url = self.url(&format!("/traces/{LARGE}"));
            let (opened, page) = Opened::new(&mut self.chromium, &url, "trace()").await;
            page.close().await;
            cold.push(opened);
        }
        let url = self.url(&format!("/traces/{LARGE}"));
        let (warm, mut page) = several(TIMES, &mut self.chromium, (&url, "trace()"), async || None).await;
        let mut rows = Vec::new();
        for (name, opened, what) in [
            ("open_1m_ms", &cold, "home just started"),
            ("open_1m_again_ms", &warm, "home has looked at it before"),
        ] {
            let (answered, words) = median(opened);
            let parts = format!("{}, {}", api(opened, "/rows"), api(opened, "/overview"));
            rows.push(told(
                name,
                answered,
                (2_000.0, 1_000.0),
                &format!("{what}: {words}; {parts}"),
            ));
        }
        rows.extend(move_about(&mut page).await);
        rows.push(search(&mut page).await);
        page.close().await;
        rows
    }

    async fn diff(&mut self) -> Vec<Row> {
        let [a, b] = PAIR;
        self.start_again();
        let url = self.url(&format!("/compare?a={a}&b={b}"));
        let (cold, mut page) = Opened::new(&mut self.chromium, &url, "compare()").await;
        let mut taken = Vec::new();
        for _ in 0..TIMES {
            let ask = format!(
                "(async () => {{
                    const began = performance.now();
                    await (await fetch('/api/v1/diff?a={a}&b={b}')).text();
                    return performance.now() - began;
                }})()"
            );
            taken.push(number(&page.evaluate(&ask).await));
        }
        page.close().await;
        let (warm, page) = several(TIMES, &mut self.chromium, (&url, "compare()"), async || None).await;
        page.close().await;
        let (answered, words) = median(&warm);
        vec![
            told(
                "diff_100k_ms",
                cold.took("/diff"),
                (1_000.0, 500.0),
                &format!(
                    "the API's answer, home just started; {} ms again",
                    rounded(quantile(&taken, 0.5))
                ),
            ),
            told(
                "diff_100k_page_ms",
                cold.answered,
                (1_000.0, 500.0),
                &format!(
                    "a fresh window to the drawn page, home just started; again {} ms: {words}",
                    rounded(answered)
                ),
            ),
        ]
    }

    async fn tail(&mut self) -> Row {
        let mut page = self.chromium.open_apart().await;
        page.prepare(PROBE).await;
        page.goto(&self.url("/traces")).await;
        page.wait_for("main[data-page='traces'] [data-trace]").await;
        // What it tells of each event is read by nobody here.
        page.command("Network.disable", serde_json::json!({})).await;
        let seen = tail::watch(&mut page, self.home.url("OTLP"), &self.tasks).await;
        let dropped = page
            .evaluate(
                "fetch('/api/v1/status').then(answer => answer.json()).then(status => status.spans.dropped)",
            )
            .await;
        page.close().await;
        told(
            "live_page_p95_ms",
            quantile(&seen.waits, 0.95),
            (500.0, 250.0),
            &format!(
                "span end to its row on the screen, {} spans sent by OTLP at 20,000/s, {} traces seen, p50 {} ms; {} refused, \
                 {dropped} dropped; the page's clock {:+.2} ms, to {:.2} ms",
                seen.sent,
                seen.waits.len(),
                rounded(quantile(&seen.waits, 0.5)),
                seen.refused,
                seen.clock.0,
                seen.clock.1,
            ),
        )
    }
}

async fn move_about(page: &mut Page) -> Vec<Row> {
    let frames = Frames::record(page).await;
    let by_hand: Vec<String> = frames
        .by_hand
        .iter()
        .map(|(hand, work)| {
            let own: Vec<f64> = work.iter().map(|(own, _)| *own).collect();
            format!("{hand} {} ms of {}", rounded(quantile(&own, 0.95)), work.len())
        })
        .collect();
    let (p95, most) = (frames.quantile(0.95), frames.quantile(1.0));
    let (bytes, windows) = frames::largest_window(page).await;
    let (scripts, module) = frames::memory(page).await;
    vec![
        told(
            "frame_p95_ms",
            p95.0,
            (16.0, 8.0),
            &format!(
                "the main thread's own time per frame in a million spans, the most {} ms; with what others took of the \
                 processor {} ms; p95 of the frames of {}",
                rounded(most.0),
                rounded(p95.1),
                by_hand.join(", ")
            ),
        ),
        told(
            "window_kb",
            bytes / 1_024.0,
            (256.0, 128.0),
            &format!("the largest of {windows} windows, KiB unpacked"),
        ),
        told(
            "heap_mb",
            scripts + module,
            (250.0, 150.0),
            &format!(
                "scripts {} MB, module {} MB, after all that",
                rounded(scripts),
                rounded(module)
            ),
        ),
    ]
}

async fn search(page: &mut Page) -> Row {
    let mut medians: Vec<(f64, String)> = Vec::new();
    for text in SEARCHES {
        let mut taken = Vec::new();
        for _ in 0..TIMES_COLD {
            // Another text in between, so that it is asked anew.
            page.evaluate("probe.search('zzzz')").await;
            let found = page
                .evaluate(&format!("probe.search({})", serde_json::json!(text)))
                .await;
            taken.push(number(&found["ms"]));
        }
        medians.push((quantile(&taken, 0.5), text.to_owned()));
    }
    let worst = medians.iter().map(|(ms, _)| *ms).fold(0.0, f64::max);
    let words: Vec<String> = medians
        .iter()
        .map(|(ms, text)| format!("{text} {} ms", rounded(*ms)))
        .collect();
    told(
        "page_find_1m_ms",
        worst,
        (600.0, 300.0),
        &format!(
            "typed to told, with the pause of 220 ms after typing: {}",
            words.join("; ")
        ),
    )
}

fn told(name: &'static str, value: f64, (must, aim): (f64, f64), what: &str) -> Row {
    Row {
        name,
        value,
        must: Bound::AtMost(must),
        aim,
        detail: what.to_owned(),
    }
}
