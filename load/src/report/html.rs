//! Html: the report as one file that needs nothing else: no script, no font, no link. Light and dark by the reader's
//! setting.

use std::fmt::Write;

use super::text::{self, entries};
use super::{Comparison, Placement, Report};
use crate::format;

mod chart;

const STYLE: &str = include_str!("html/style.css");

/// The report as HTML.
pub fn render(report: &Report) -> String {
    let title = match report.comparisons.first() {
        Some(comparison) => format!("Verdict: {}", comparison.headline()),
        None => format!("Load on {}", report.target),
    };
    let mut out = String::with_capacity(32 * 1024);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<header>{LOGO}<div><h1>{0}</h1><p class=\"soft\">{1}</p></div></header>\n",
        escape(&title),
        escape(&about(report)),
    );
    for comparison in &report.comparisons {
        cards(comparison, report, &mut out);
    }
    chart::render(&report.placements, &mut out);
    for comparison in &report.comparisons {
        table(comparison, report, &mut out);
    }
    for placement in &report.placements {
        operations(placement, &mut out);
    }
    trust(report, &mut out);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

const LOGO: &str = "<svg width=\"26\" height=\"26\" viewBox=\"0 0 22 22\" aria-hidden=\"true\">\
                    <path d=\"M2 3h7.2L7 19H2z\" fill=\"currentColor\"/>\
                    <path d=\"M12.4 3H20v16h-9.8z\" fill=\"var(--seam)\"/></svg>";

fn about(report: &Report) -> String {
    let rate = format::significant(report.rate_per_s);
    let mut about = format!(
        "{} mix · {rate} requests/s, open loop, {} arrivals",
        report.scenario, report.arrivals
    );
    let _ = match report.comparisons.is_empty() {
        true => write!(about, " · {:.1} s", report.block_seconds),
        false => write!(
            about,
            " · {} rounds of {:.1} s blocks, ABBA",
            report.rounds, report.block_seconds
        ),
    };
    let _ = write!(about, " · seed {}", report.seed);
    if report.interrupted {
        about.push_str(" · ended early");
    }
    about
}

fn cards(comparison: &Comparison, report: &Report, out: &mut String) {
    out.push_str("<section class=\"cards\">\n");
    let mut card = |label: &str, big: &str, small: &str| {
        let _ = writeln!(
            out,
            "<div class=\"card\"><p class=\"soft\">{}</p><p class=\"big\">{}</p><p class=\"faint\">{}</p></div>",
            escape(label),
            escape(big),
            escape(small)
        );
    };
    for (quantity, label) in [
        ("cpu_per_request", "CPU per request"),
        ("p50", "p50"),
        ("p99", "p99"),
    ] {
        let Some(judged) = comparison.of(quantity) else {
            continue;
        };
        let big = judged.ratio.map_or_else(
            || "—".to_owned(),
            |ratio| format!("{} ×", format::significant(ratio.0)),
        );
        let show = if quantity == "cpu_per_request" {
            text::cpu_text
        } else {
            format::nanos_f64
        };
        let small = format!(
            "{} · {} → {}",
            text::interval(Some(judged)),
            show(judged.base),
            show(judged.other)
        );
        card(label, &big, small.trim_start_matches([' ', '·']));
    }
    let capacity = |name: &str| {
        report
            .placements
            .iter()
            .find(|p| p.name == name)
            .and_then(|p| p.capacity_per_s)
    };
    if let (Some(base), Some(other)) = (capacity(&comparison.base), capacity(&comparison.other)) {
        let small = format!(
            "{} → {} requests/s",
            format::significant(base),
            format::significant(other)
        );
        card(
            "Capacity, closed loop",
            &format!("{} ×", format::significant(other / base)),
            &small,
        );
    }
    out.push_str("</section>\n");
}

fn table(comparison: &Comparison, report: &Report, out: &mut String) {
    let find = |name: &str| report.placements.iter().find(|placement| placement.name == name);
    let (Some(base), Some(other)) = (find(&comparison.base), find(&comparison.other)) else {
        return;
    };
    let _ = write!(
        out,
        "<section class=\"card\">\n<h2>{0} against {1}</h2>\n<div class=\"scroll\"><table>\n<tr><th></th><th class=\"num\">{1}</th>\
         <th class=\"num\">{0}</th><th class=\"num\">ratio</th><th class=\"num\">95 % interval</th><th>answer</th></tr>\n",
        escape(&other.name),
        escape(&base.name)
    );
    for entry in entries(base, other) {
        let judged = entry.quantity.and_then(|quantity| comparison.of(quantity));
        let answer = judged.map(text::answer).unwrap_or_default();
        let class = match judged.map(|judged| judged.answer.as_str()) {
            Some("equivalent" | "inconclusive") => " class=\"soft\"",
            Some(_) => " class=\"strong\"",
            None => "",
        };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>\
             <td class=\"num soft\">{}</td><td{class}>{}</td></tr>",
            entry.label,
            escape(&entry.shown(entry.base)),
            escape(&entry.shown(entry.other)),
            entry.ratio(judged),
            text::interval(judged),
            escape(&answer)
        );
    }
    out.push_str("</table></div>\n</section>\n");
}

fn operations(placement: &Placement, out: &mut String) {
    let _ = write!(
        out,
        "<section class=\"card\">\n<h2>Operations, {}</h2>\n<div class=\"scroll\"><table>\n<tr><th></th><th class=\"num\">requests</th>\
         <th class=\"num\">errors</th><th class=\"num\">p50</th><th class=\"num\">p90</th><th class=\"num\">p99</th>\
         <th class=\"num\">p99.9</th><th class=\"num\">max</th></tr>\n",
        escape(&placement.name)
    );
    for operation in &placement.operations {
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>",
            escape(&operation.name),
            format::count(operation.requests),
            format::count(operation.errors)
        );
        let latency = operation.latency_ns;
        for value in [latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max] {
            let _ = write!(out, "<td class=\"num\">{}</td>", format::nanos(value));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table></div>\n</section>\n");
}

fn trust(report: &Report, out: &mut String) {
    out.push_str("<section class=\"card\">\n<h2>Can this be trusted?</h2>\n<div class=\"scroll\"><table>\n");
    let mut row = |name: &str, text: &str, class: &str| {
        let _ = writeln!(
            out,
            "<tr><td class=\"soft\">{}</td><td{class}>{}</td></tr>",
            escape(name),
            escape(text)
        );
    };
    for placement in report.placements.iter().filter(|placement| placement.errors > 0) {
        let kinds: Vec<String> = placement
            .errors_by_kind
            .iter()
            .map(|(kind, n)| format!("{kind} × {n}"))
            .collect();
        row(
            "errors",
            &format!("{}: {}", placement.name, kinds.join(", ")),
            " class=\"bad\"",
        );
    }
    for (name, text) in text::facts(report) {
        let is_bad = name == "generator" && report.generator.limited;
        row(name, &text, if is_bad { " class=\"bad\"" } else { "" });
    }
    for threshold in &report.thresholds {
        let text = format!(
            "{} in {}: {}",
            threshold.threshold, threshold.placement, threshold.found
        );
        let (name, class) = match threshold.held {
            true => ("threshold held", " class=\"ok\""),
            false => ("threshold missed", " class=\"bad\""),
        };
        row(name, &text, class);
    }
    for note in &report.notes {
        row("note", note, "");
    }
    out.push_str("</table></div>\n</section>\n");
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
