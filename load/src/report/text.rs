//! Text: the report for a terminal of 100 columns.

use std::fmt::Write;

use super::{Comparison, Judged, Placement, Report};
use crate::format;

const LABEL: usize = 22;
const VALUE: usize = 13;
const ANSWER: usize = 26;
const RULE: usize = 100;

/// The report as text.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    header(report, &mut out);
    if report.comparisons.is_empty() {
        for placement in &report.placements {
            single(placement, &mut out);
        }
    }
    for comparison in &report.comparisons {
        compared(report, comparison, &mut out);
    }
    errors(report, &mut out);
    trust(report, &mut out);
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

fn header(report: &Report, out: &mut String) {
    match report.comparisons.first() {
        Some(comparison) => line(out, &capitalised(&comparison.headline())),
        None => line(out, &format!("Load on {}", report.target)),
    }
    let mut about = format!(
        "{} mix · {} requests/s, open loop, {} arrivals",
        report.scenario,
        format::significant(report.rate_per_s),
        report.arrivals
    );
    let blocks = if report.comparisons.is_empty() {
        format!(" · {:.1} s", report.block_seconds)
    } else {
        format!(
            " · {} rounds of {:.1} s blocks, ABBA",
            report.rounds, report.block_seconds
        )
    };
    about.push_str(&blocks);
    let _ = write!(about, " · seed {}", report.seed);
    if report.interrupted {
        about.push_str(" · ended early");
    }
    line(out, &about);
    out.push('\n');
}

fn rule(out: &mut String) {
    line(out, &"─".repeat(RULE));
}

fn single(placement: &Placement, out: &mut String) {
    let heads = ["requests", "errors", "p50", "p90", "p99", "p99.9", "max"];
    let mut head = format!("{:<LABEL$}", placement.name);
    for name in heads {
        let _ = write!(head, "{name:>10}");
    }
    line(out, &head);
    rule(out);
    for operation in &placement.operations {
        row(
            &operation.name,
            operation.requests,
            operation.errors,
            &operation.latency_ns,
            out,
        );
    }
    rule(out);
    row(
        "all",
        placement.requests,
        placement.errors,
        &placement.latency_ns,
        out,
    );
    row(
        "all, from actual send",
        placement.requests,
        placement.errors,
        &placement.service_ns,
        out,
    );
    out.push('\n');
    let mut facts = vec![format!(
        "{}/s answered",
        format::significant(placement.answered_per_s)
    )];
    facts.extend(
        placement
            .cpu_seconds_per_request
            .map(|cpu| format!("CPU {} per request", cpu_text(cpu))),
    );
    facts.extend(
        placement
            .bytes_per_request
            .map(|bytes| format!("{} per request over QUIC", format::bytes(bytes))),
    );
    facts.extend(
        placement
            .memory_bytes
            .map(|bytes| format!("memory {}", format::bytes(bytes as f64))),
    );
    facts.extend(placement.cold_starts.map(|count| {
        let each = placement.start_p50_ns.filter(|ns| count > 0 && *ns > 0);
        let each = each.map_or_else(String::new, |ns| format!(" of {}", format::nanos(ns)));
        format!("{} cold starts{each}", format::count(count))
    }));
    facts.extend(placement.processes.map(|count| {
        if count == 1 {
            "1 process".to_owned()
        } else {
            format!("{count} processes")
        }
    }));
    fact("server", &facts.join(" · "), out);
}

fn row(name: &str, requests: u64, errors: u64, latency: &super::Latency, out: &mut String) {
    let mut text = format!(
        "{name:<LABEL$}{:>10}{:>10}",
        format::count(requests),
        format::count(errors)
    );
    for value in [latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max] {
        let _ = write!(text, "{:>10}", format::nanos(value));
    }
    line(out, &text);
}

fn compared(report: &Report, comparison: &Comparison, out: &mut String) {
    let find = |name: &str| report.placements.iter().find(|placement| placement.name == name);
    let (Some(base), Some(other)) = (find(&comparison.base), find(&comparison.other)) else {
        return;
    };
    let head = format!(
        "{:<LABEL$}{:>VALUE$}{:>VALUE$}{:>9}   {:<13} answer",
        "",
        cut(&base.name, VALUE - 1),
        cut(&other.name, VALUE - 1),
        "ratio",
        "95 % interval"
    );
    line(out, &head);
    rule(out);
    for entry in entries(base, other) {
        let judged = entry.quantity.and_then(|quantity| comparison.of(quantity));
        line(out, &entry.text(judged));
    }
    out.push('\n');
}

/// One row of a comparison.
pub(super) struct Entry {
    pub(super) label: &'static str,
    pub(super) base: Option<f64>,
    pub(super) other: Option<f64>,
    show: fn(f64) -> String,
    /// The quantity that was judged, if this one was.
    pub(super) quantity: Option<&'static str>,
    /// Whether a ratio says anything.
    has_ratio: bool,
}

impl Entry {
    pub(super) fn shown(&self, value: Option<f64>) -> String {
        value.map_or_else(|| "—".to_owned(), self.show)
    }

    /// Other over base: of the rounds' means where it was judged, of the sums elsewhere.
    pub(super) fn ratio(&self, judged: Option<&Judged>) -> String {
        let of_rounds = judged.and_then(|judged| judged.ratio).map(|ratio| ratio.0);
        let of_sums = match (self.base, self.other) {
            (Some(base), Some(other)) if self.has_ratio && base > 0.0 => Some(other / base),
            _ => None,
        };
        of_rounds
            .or(of_sums)
            .map(|ratio| format!("{} ×", format::significant(ratio)))
            .unwrap_or_default()
    }

    fn text(&self, judged: Option<&Judged>) -> String {
        format!(
            "{:<LABEL$}{:>VALUE$}{:>VALUE$}{:>9}   {:<13} {}",
            self.label,
            self.shown(self.base),
            self.shown(self.other),
            self.ratio(judged),
            interval(judged),
            cut(&judged.map(answer).unwrap_or_default(), ANSWER)
        )
    }
}

pub(super) fn interval(judged: Option<&Judged>) -> String {
    let of = |(_, low, high): (f64, f64, f64)| {
        format!("{} – {}", format::significant(low), format::significant(high))
    };
    judged.and_then(|judged| judged.ratio).map(of).unwrap_or_default()
}

pub(super) fn answer(judged: &Judged) -> String {
    match judged.rounds_needed {
        Some(rounds) => format!("{}: ~{rounds} rounds", judged.answer),
        None => judged.answer.clone(),
    }
}

/// The rows of a comparison, the same in text and HTML.
pub(super) fn entries(base: &Placement, other: &Placement) -> Vec<Entry> {
    let entry =
        |label, show: fn(f64) -> String, quantity, has_ratio, of: &dyn Fn(&Placement) -> Option<f64>| Entry {
            label,
            base: of(base),
            other: of(other),
            show,
            quantity,
            has_ratio,
        };
    let latency = |label, quantity, of: fn(&super::Latency) -> u64| {
        let of = move |placement: &Placement| {
            (placement.requests > placement.errors).then(|| of(&placement.latency_ns) as f64)
        };
        entry(label, format::nanos_f64, quantity, true, &of)
    };
    vec![
        entry("capacity, closed loop", per_second, None, true, &|p| {
            p.capacity_per_s
        }),
        latency("p50", Some("p50"), |latency| latency.p50),
        latency("p90", Some("p90"), |latency| latency.p90),
        latency("p99", Some("p99"), |latency| latency.p99),
        latency("p99.9", None, |latency| latency.p99_9),
        latency("max", None, |latency| latency.max),
        entry("errors", whole, None, false, &|p| Some(p.errors as f64)),
        entry("CPU per request", cpu_text, Some("cpu_per_request"), true, &|p| {
            p.cpu_seconds_per_request
        }),
        entry("bytes per request", format::bytes, None, true, &|p| {
            p.bytes_per_request
        }),
        entry("cold starts", whole, None, false, &|p| {
            p.cold_starts.map(|count| count as f64)
        }),
        entry("memory", format::bytes, None, true, &|p| {
            p.memory_bytes.map(|bytes| bytes as f64)
        }),
        entry("processes", whole, None, false, &|p| {
            p.processes.map(|count| count as f64)
        }),
        entry("requests", whole, None, false, &|p| Some(p.requests as f64)),
    ]
}

fn per_second(value: f64) -> String {
    format!("{}/s", format::significant(value))
}

fn whole(value: f64) -> String {
    format::count(value as u64)
}

/// CPU time for each request, in ms.
pub(super) fn cpu_text(seconds: f64) -> String {
    format!("{} ms", format::significant(seconds * 1e3))
}

fn errors(report: &Report, out: &mut String) {
    for placement in report.placements.iter().filter(|placement| placement.errors > 0) {
        let kinds: Vec<String> = placement
            .errors_by_kind
            .iter()
            .map(|(kind, count)| format!("{kind} × {}", format::count(*count)))
            .collect();
        fact(
            "errors",
            &format!("{}: {}", placement.name, kinds.join(", ")),
            out,
        );
    }
}

fn trust(report: &Report, out: &mut String) {
    for (name, text) in facts(report) {
        fact(name, &text, out);
    }
    for threshold in &report.thresholds {
        let mark = if threshold.held { "held" } else { "MISSED" };
        let text = format!(
            "{mark}: {} in {}: {}",
            threshold.threshold, threshold.placement, threshold.found
        );
        fact("threshold", &text, out);
    }
    for note in &report.notes {
        fact("note", note, out);
    }
}

/// What says whether the numbers can be trusted.
pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let generator = &report.generator;
    let verdict = match &generator.reason {
        Some(reason) => format!("GENERATOR-LIMITED: {reason}"),
        None => "not the limit".to_owned(),
    };
    let mut own = vec![
        verdict,
        format!(
            "sent late by {} at p99",
            format::nanos(generator.schedule_error_ns.p99)
        ),
    ];
    own.extend(
        generator
            .cores
            .map(|cores| format!("used {cores:.2} cores of its own")),
    );
    if generator.queued > 0 {
        own.push(format!(
            "{} waited for one of {} users",
            format::count(generator.queued),
            generator.users
        ));
    }
    let machine = &report.machine;
    let place = if machine.same_host {
        "both sides on this host, no real network"
    } else {
        "the target is another host"
    };
    let mut on = vec![
        format!("{} cores, {}", machine.cores, machine.model),
        machine.kernel.clone(),
        place.to_owned(),
    ];
    on.extend(
        machine
            .load_average_before
            .filter(|load| *load > 0.5)
            .map(|load| format!("load {load:.1} before")),
    );
    vec![
        (
            "latency",
            "from the intended send time; timeouts included, other errors left out".to_owned(),
        ),
        ("generator", own.join(" · ")),
        ("machine", on.join(" · ")),
        ("sampling", report.sampling.clone()),
    ]
}

/// A labelled text, wrapped at 100 columns.
fn fact(name: &str, text: &str, out: &mut String) {
    const INDENT: usize = 12;
    let mut current = format!("{name:<INDENT$}");
    let mut is_fresh = true;
    for word in text.split(' ') {
        if !is_fresh && current.chars().count() + 1 + word.chars().count() > RULE {
            line(out, &current);
            current = " ".repeat(INDENT);
            is_fresh = true;
        }
        if !is_fresh {
            current.push(' ');
        }
        current.push_str(word);
        is_fresh = false;
    }
    line(out, &current);
}

fn cut(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        text.to_owned()
    } else {
        text.chars().take(length - 1).chain(['…']).collect()
    }
}

pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
