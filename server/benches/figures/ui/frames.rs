//! The main thread's work per frame while a trace is panned, zoomed and hovered over, from the browser's own record; and
//! what the page holds in memory afterwards.

use std::collections::HashMap;

use chromium::Page;
use serde_json::{Value, json};

use super::opening::number;
use crate::table::quantile;

pub const CATEGORIES: &str = "devtools.timeline,disabled-by-default-devtools.timeline,devtools.timeline.frame,\
     disabled-by-default-devtools.timeline.frame";
/// A step of the wheel, in px, and the modifier that makes it zoom.
const WHEEL: f64 = 100.0;
const CTRL: u32 = 2;

/// Work per frame of what was done, in ms: of the thread's own time, and of time that went by, in which others may have
/// had the processor.
pub struct Frames {
    pub by_hand: Vec<(&'static str, Vec<(f64, f64)>)>,
}

impl Frames {
    /// Moves about in the trace that the page shows.
    pub async fn record(page: &mut Page) -> Self {
        let stage = page
            .evaluate("(box => [box.left, box.top, box.width, box.height])(document.querySelector('.wf-stage').getBoundingClientRect())")
            .await;
        let [left, top, width, height] = [0, 1, 2, 3].map(|at| number(&stage[at]));
        let place = |x: f64, y: f64| (left + width * x, top + height * y);
        let mut by_hand = Vec::new();
        for hand in ["hover", "scroll", "zoom", "pan"] {
            page.record(CATEGORIES).await;
            match hand {
                "hover" => hover(page, place).await,
                "scroll" => scroll(page, place(0.6, 0.5)).await,
                "zoom" => zoom(page, place(0.6, 0.5)).await,
                _ => pan(page, place).await,
            }
            let record = page.recorded().await;
            keep(hand, &record);
            by_hand.push((hand, work(&record)));
        }
        Self { by_hand }
    }

    /// A quantile over all frames: of the thread's own time, and of time that went by.
    pub fn quantile(&self, q: f64) -> (f64, f64) {
        let all = || self.by_hand.iter().flat_map(|(_, frames)| frames);
        let own: Vec<f64> = all().map(|(own, _)| *own).collect();
        let gone: Vec<f64> = all().map(|(_, gone)| *gone).collect();
        (quantile(&own, q), quantile(&gone, q))
    }
}

/// Leaves a record where the figures go, for the browser's own tools to show.
pub fn keep(hand: &str, record: &[Value]) {
    let folder = crate::directory();
    let file = folder.join(format!("ui-{hand}.json"));
    let kept = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&file, json!({ "traceEvents": record }).to_string()));
    kept.unwrap_or_else(|error| panic!("write `{}`: {error}", file.display()));
}

async fn hover(page: &mut Page, place: impl Fn(f64, f64) -> (f64, f64)) {
    for step in 0..240 {
        let at = f64::from(step) / 240.0;
        page.mouse("mouseMoved", place(0.35 + 0.6 * at, (at * 7.0).fract()), 0)
            .await;
    }
}

/// Down through many windows of rows, and back.
async fn scroll(page: &mut Page, at: (f64, f64)) {
    for step in 0..240 {
        let by = if step < 180 { WHEEL * 2.0 } else { -WHEEL * 3.0 };
        wheel(page, at, by, 0).await;
    }
}

/// Nearer until a span fills the width, and further again.
async fn zoom(page: &mut Page, at: (f64, f64)) {
    for step in 0..160 {
        wheel(page, at, if step < 80 { -WHEEL } else { WHEEL }, CTRL).await;
    }
}

/// Drags time to and fro, from near.
async fn pan(page: &mut Page, place: impl Fn(f64, f64) -> (f64, f64)) {
    for _ in 0..20 {
        wheel(page, place(0.6, 0.5), -WHEEL, CTRL).await;
    }
    for drag in 0..4 {
        let (from, to) = if drag % 2 == 0 { (0.9, 0.4) } else { (0.4, 0.9) };
        page.mouse("mousePressed", place(from, 0.5), 1).await;
        for step in 0..60 {
            let at = from + (to - from) * f64::from(step) / 60.0;
            page.mouse("mouseMoved", place(at, 0.5), 1).await;
        }
        page.mouse("mouseReleased", place(to, 0.5), 1).await;
    }
}

async fn wheel(page: &mut Page, (x, y): (f64, f64), by: f64, modifiers: u32) {
    let event =
        json!({ "type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": by, "modifiers": modifiers });
    page.command("Input.dispatchMouseEvent", event).await;
}

/// The tasks of the page's main thread, added up between one frame's beginning and the next one's, in ms.
fn work(events: &[Value]) -> Vec<(f64, f64)> {
    let thread = |event: &Value| (event["pid"].as_u64(), event["tid"].as_u64());
    let at = |event: &Value| number(&event["ts"]);
    let begins = |event: &&Value| event["name"] == "BeginMainThreadFrame";
    let mut counts: HashMap<_, u32> = HashMap::new();
    for event in events.iter().filter(begins) {
        *counts.entry(thread(event)).or_default() += 1;
    }
    // Other windows draw nothing meanwhile.
    let main = counts
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(thread, _)| thread);
    let main = main.expect("the record has frames");
    let mut frames: Vec<f64> = events
        .iter()
        .filter(begins)
        .filter(|event| thread(event) == main)
        .map(at)
        .collect();
    frames.sort_by(f64::total_cmp);
    let mut work = vec![(0.0, 0.0); frames.len()];
    let tasks = events
        .iter()
        .filter(|event| event["name"] == "RunTask" && event["ph"] == "X");
    for task in tasks.filter(|task| thread(task) == main) {
        let end = at(task) + number(&task["dur"]);
        // The task that draws a frame has its beginning within: a task belongs to the frame that it ends in.
        let frame = frames.partition_point(|begin| *begin <= end);
        if let Some(frame) = frame.checked_sub(1) {
            let gone = number(&task["dur"]);
            work[frame].0 += task["tdur"].as_f64().unwrap_or(gone) / 1e3;
            work[frame].1 += gone / 1e3;
        }
    }
    work
}

/// What the page's scripts and its module hold, in MB: (scripts, module).
pub async fn memory(page: &mut Page) -> (f64, f64) {
    page.command("Performance.enable", json!({})).await;
    let metrics = page.command("Performance.getMetrics", json!({})).await;
    let used = metrics["metrics"]
        .as_array()
        .and_then(|metrics| metrics.iter().find(|metric| metric["name"] == "JSHeapUsedSize"))
        .map(|metric| number(&metric["value"]));
    let module = number(&page.evaluate("probe.wasmBytes()").await);
    (used.expect("the browser knows its heap") / 1e6, module / 1e6)
}

/// Looks at many parts of the trace, far from each other, and gives the largest answer and how many there were.
pub async fn largest_window(page: &mut Page) -> (f64, usize) {
    page.evaluate("performance.setResourceTimingBufferSize(100000), performance.clearResourceTimings()")
        .await;
    let told = page
        .evaluate(
            "(async () => {
                const frame = document.querySelector('.wf-scroll');
                const stage = document.querySelector('.wf-stage');
                const rest = async () => {
                    for (let i = 0; i < 400; i++) {
                        await new Promise(go => setTimeout(go, 15));
                        if (!document.querySelector('.wf-row.waiting')) return;
                    }
                };
                for (let at = 0; at < 60; at++) {
                    if (at % 6 === 5) probe.key(stage, 'w');
                    if (at % 20 === 19) probe.key(stage, '0');
                    frame.scrollTop = frame.scrollHeight * ((at * 0.6180339) % 1);
                    await rest();
                    // The part that is seen is asked for once it rests.
                    await new Promise(go => setTimeout(go, at % 6 === 5 ? 300 : 0));
                    await rest();
                }
                const rows = probe.answers().filter(answer => answer.path.endsWith('/rows'));
                return [Math.max(...rows.map(answer => answer.bytes)), rows.length];
            })()",
        )
        .await;
    (number(&told[0]), number(&told[1]) as usize)
}
