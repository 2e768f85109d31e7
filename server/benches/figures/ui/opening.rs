//! How long it takes until a page is drawn and answers: each time in a window that shares nothing with the one before,
//! so that everything is fetched and compiled anew; and what is fetched.

use chromium::{Chromium, Page};
use serde_json::Value;

use super::{PROBE, frames};
use crate::table::{quantile, rounded};

/// One opening.
pub struct Opened {
    /// When the page was drawn, and when it had answered, in ms.
    pub drawn: f64,
    pub answered: f64,
    /// What was fetched until then.
    pub answers: Vec<Answer>,
}

/// Something that was fetched.
#[derive(serde::Deserialize)]
pub struct Answer {
    pub path: String,
    pub start: f64,
    pub end: f64,
    /// As it went over the network, with its headers.
    pub carried: f64,
}

impl Opened {
    /// Opens a page in a window of its own; `look` is the probe that says when it is there.
    pub async fn new(chromium: &mut Chromium, url: &str, look: &str) -> (Self, Page) {
        let mut page = chromium.open_apart().await;
        page.prepare(&format!("{PROBE}\nprobe.opened = probe.{look};"))
            .await;
        page.head_for(url).await;
        let told = page
            .wait_until(&format!("{url} to answer"), "window.probe?.opened")
            .await;
        let opened = Self {
            drawn: number(&told["drawn"]),
            answered: number(&told["answered"]),
            answers: serde_json::from_value(told["answers"].clone()).expect("the probe's answers"),
        };
        (opened, page)
    }

    /// How long one of the API's answers took: the page's own, where it was asked for ahead.
    pub fn took(&self, end_of_path: &str) -> f64 {
        let found = self
            .answers
            .iter()
            .rfind(|answer| answer.path.ends_with(end_of_path));
        found.map_or(0.0, |answer| answer.end - answer.start)
    }

    /// What all files of the page came to on their way, in bytes: without what the API answered.
    pub fn carried(&self) -> f64 {
        let files = self
            .answers
            .iter()
            .filter(|answer| !answer.path.starts_with("/api/"));
        files.map(|file| file.carried).sum()
    }
}

/// Opens a page once more, and leaves the browser's record of it.
pub async fn record(chromium: &mut Chromium, url: &str, look: &str) {
    let mut page = chromium.open_apart().await;
    page.prepare(&format!("{PROBE}\nprobe.opened = probe.{look};"))
        .await;
    page.record(frames::CATEGORIES).await;
    page.head_for(url).await;
    page.wait_until("the page to answer", "window.probe?.opened")
        .await;
    let record = page.recorded().await;
    frames::keep("open", &record);
    page.close().await;
}

/// Opens a page several times; the last window is left open.
pub async fn several(
    times: usize,
    chromium: &mut Chromium,
    (url, look): (&str, &str),
    mut before: impl AsyncFnMut() -> Option<String>,
) -> (Vec<Opened>, Page) {
    let mut all = Vec::with_capacity(times);
    loop {
        let address = before().await.unwrap_or_else(|| url.to_owned());
        let (opened, page) = Opened::new(chromium, &address, look).await;
        all.push(opened);
        if all.len() == times {
            return (all, page);
        }
        page.close().await;
    }
}

/// The median of when they had answered, and the rest in words.
pub fn median(all: &[Opened]) -> (f64, String) {
    let answered: Vec<f64> = all.iter().map(|opened| opened.answered).collect();
    let drawn: Vec<f64> = all.iter().map(|opened| opened.drawn).collect();
    let words = format!(
        "median of {}, worst {} ms; drawn at {} ms",
        all.len(),
        rounded(quantile(&answered, 1.0)),
        rounded(quantile(&drawn, 0.5)),
    );
    (quantile(&answered, 0.5), words)
}

/// The API's part of it, in words.
pub fn api(all: &[Opened], end_of_path: &str) -> String {
    let taken: Vec<f64> = all.iter().map(|opened| opened.took(end_of_path)).collect();
    format!(
        "`{}` {} ms",
        end_of_path.trim_start_matches('/'),
        rounded(quantile(&taken, 0.5))
    )
}

pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}
