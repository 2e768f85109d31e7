//! OpenMetrics' text: families one after the other, each with its kind and its samples, and an end.

use std::fmt::Write as _;

use crate::traces::Exemplar;

/// What a family is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Info,
}

/// A document that grows.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
    family: &'static str,
}

impl Text {
    /// Begins a family.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, unit: &str, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        };
        self.family = name;
        self.push(&format!("# TYPE {name} {kind}\n"));
        if !unit.is_empty() {
            self.push(&format!("# UNIT {name} {unit}\n"));
        }
        self.push(&format!("# HELP {name} {}\n", escaped(help)));
    }

    /// A sample of the family.
    pub(super) fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        self.sample_of(suffix, &[], labels, value);
    }

    /// A sample of the family, with labels that many share and others.
    pub(super) fn sample_of(
        &mut self,
        suffix: &str,
        shared: &[(&str, String)],
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let shared = shared.iter().map(|(name, value)| (*name, value.as_str()));
        let labels: Vec<String> = shared
            .chain(labels.iter().copied())
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let family = self.family;
        // A String takes whatever is written.
        let _ = writeln!(self.text, "{family}{suffix}{labels} {value}");
    }

    /// A bucket of a histogram, with a call that is in it.
    pub(super) fn bucket(
        &mut self,
        labels: &[(&str, String)],
        bound: &str,
        count: u64,
        exemplar: Option<&Exemplar>,
    ) {
        self.sample_of("_bucket", labels, &[("le", bound)], count as f64);
        if let Some(one) = exemplar {
            self.text.pop();
            let (took, at) = (one.latency_ns as f64 / 1e9, one.unix_ns as f64 / 1e9);
            let id = one.trace_id;
            // A String takes whatever is written.
            let _ = writeln!(self.text, " # {{trace_id=\"{id}\"}} {took} {at:.3}");
        }
    }

    /// The whole document.
    pub(super) fn end(mut self) -> String {
        self.push("# EOF\n");
        self.text
    }

    fn push(&mut self, line: &str) {
        self.text.push_str(line);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
