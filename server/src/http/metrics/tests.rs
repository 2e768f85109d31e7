//! The document, read by a parser that forgives nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::text::{Kind, Text};
use crate::http::testing::{Doors, request};

/// Families with their kinds, and samples by name and labels.
#[derive(Debug, Default)]
struct Read {
    kinds: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
    /// Traces.
    exemplars: Vec<String>,
}

/// Reads OpenMetrics 1.0; panics at what it does not allow.
fn read(text: &str) -> Read {
    let mut read = Read::default();
    let (mut family, mut told, mut has_samples) = (String::new(), BTreeSet::new(), false);
    let body = text.strip_suffix("# EOF\n").expect("it ends with `# EOF`");
    for line in body.lines() {
        assert!(!line.is_empty() && line.trim() == line, "{line:?}");
        if let Some(meta) = line.strip_prefix("# ") {
            let mut words = meta.splitn(3, ' ');
            let (kind, name, rest) = (
                words.next().unwrap(),
                words.next().unwrap(),
                words.next().unwrap(),
            );
            if name != family {
                assert!(!read.kinds.contains_key(name), "{name} comes again");
                (family, has_samples) = (name.to_owned(), false);
                told.clear();
            }
            assert!(!has_samples && told.insert(kind.to_owned()), "{line}");
            match kind {
                "TYPE" => _ = read.kinds.insert(name.to_owned(), rest.to_owned()),
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                "HELP" => assert!(!rest.contains('"') || rest.contains("\\\""), "{line}"),
                other => panic!("{other}"),
            }
            continue;
        }
        has_samples = true;
        let (sample, exemplar) = match line.split_once(" # ") {
            Some((sample, exemplar)) => (sample, Some(exemplar)),
            None => (line, None),
        };
        if let Some(exemplar) = exemplar {
            assert!(sample.contains("_bucket{"), "{line}");
            read.exemplars.push(check_exemplar(sample, exemplar));
        }
        let (name, value) = sample.rsplit_once(' ').unwrap();
        let (bare, labels) = name.split_once('{').map_or((name, ""), |(bare, labels)| {
            (bare, labels.strip_suffix('}').expect("labels end"))
        });
        let suffix = bare
            .strip_prefix(&family)
            .unwrap_or_else(|| panic!("{bare} is not of {family}"));
        let allowed: &[&str] = match read.kinds[&family].as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_count", "_sum"],
            "info" => &["_info"],
            other => panic!("{other}"),
        };
        assert!(allowed.contains(&suffix), "{line}");
        check_labels(labels);
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_finite() && (value >= 0.0), "{line}");
        assert!(
            read.samples.insert(name.to_owned(), value).is_none(),
            "{line} comes again"
        );
    }
    read
}

/// The trace of an exemplar that is within its bucket.
fn check_exemplar(sample: &str, exemplar: &str) -> String {
    let (labels, values) = exemplar.strip_prefix('{').unwrap().split_once("} ").unwrap();
    check_labels(labels);
    assert!(labels.len() <= 128);
    let (took, at) = values.split_once(' ').unwrap();
    let (took, at): (f64, f64) = (took.parse().unwrap(), at.parse().unwrap());
    let (_, bound) = sample.split_once("le=\"").unwrap();
    let bound = bound.split('"').next().unwrap().replace("+Inf", "inf");
    assert!(took <= bound.parse().unwrap() && at > 1e9, "{sample} {exemplar}");
    let id = labels.strip_prefix("trace_id=\"").unwrap();
    id.trim_end_matches('"').to_owned()
}

fn check_labels(labels: &str) {
    let mut rest = labels;
    let mut names = BTreeSet::new();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").expect("a label has a quoted value");
        assert!(
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{name}"
        );
        assert!(names.insert(name.to_owned()), "{name} twice");
        let mut end = None;
        let mut chars = value.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => assert!(matches!(chars.next(), Some((_, '\\' | '"' | 'n')))),
                '"' => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let after = &value[end.expect("the value ends") + 1..];
        rest = after.strip_prefix(',').unwrap_or(after);
        assert!(!after.starts_with(',') || !rest.is_empty(), "a comma at the end");
    }
}

#[tokio::test]
async fn what_was_called_is_counted_and_the_document_is_strict() {
    let doors = Doors::open().await;
    for path in ["/cart", "/fail/4"] {
        doors
            .send(request("GET", &format!("{}{path}", doors.ingress), &[], ""))
            .await;
    }
    doors.context.traces.flush().await.unwrap();
    let answer = doors.get("/metrics").await;
    assert_eq!(answer.status.as_u16(), 200);
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.headers["content-type"], media_type);
    let read = read(answer.text());
    let edge = "caller=\"ingress\",callee=\"till\",interface=\"cleave:http/exchange@0.1.0\"";
    let sample = |name: String| {
        let found = read.samples.get(&name);
        *found.unwrap_or_else(|| panic!("{name} in {}", answer.text()))
    };
    assert_eq!(
        sample(format!("cleave_edge_calls_total{{{edge},outcome=\"ok\"}}")),
        1.0
    );
    assert_eq!(
        sample(format!("cleave_edge_calls_total{{{edge},outcome=\"failed\"}}")),
        1.0
    );
    let mut before = 0.0;
    for (_, written) in super::BOUNDS_NS {
        let count = sample(format!(
            "cleave_edge_latency_seconds_bucket{{{edge},le=\"{written}\"}}"
        ));
        assert!(count >= before, "{written}");
        before = count;
    }
    assert_eq!(
        sample(format!(
            "cleave_edge_latency_seconds_bucket{{{edge},le=\"+Inf\"}}"
        )),
        2.0
    );
    assert_eq!(
        sample(format!("cleave_edge_latency_seconds_count{{{edge}}}")),
        2.0
    );
    assert!(sample(format!("cleave_edge_latency_seconds_sum{{{edge}}}")) > 0.0);
    // What failed was stored in any case.
    let traces = read.exemplars.iter().map(|id| id.parse().unwrap());
    let traces: Vec<protocol::TraceId> = traces.collect();
    assert!(!traces.is_empty());
    for id in traces {
        assert!(doors.context.traces.get(id).await.unwrap().is_some(), "{id}");
    }
    assert_eq!(sample("cleave_node_up{node=\"home\"}".to_owned()), 1.0);
}

#[test]
fn labels_are_escaped() {
    let mut text = Text::default();
    text.family("x", Kind::Gauge, "", "Two\nlines.");
    text.sample("", &[("of", "a\"b\\c\nd")], 1.5);
    let text = text.end();
    assert_eq!(
        text,
        "# TYPE x gauge\n# HELP x Two\\nlines.\nx{of=\"a\\\"b\\\\c\\nd\"} 1.5\n# EOF\n"
    );
    read(&text);
}
