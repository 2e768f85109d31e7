//! Two sides in words: the sentence above a comparison, verdicts, and differences with their intervals.

use protocol::api::diff::{Diff, DiffPath, DiffSide, Shift, Verdict};

use crate::format;

/// How rows of a comparison are ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// As in the tree.
    #[default]
    Tree,
    /// The largest difference first.
    Difference,
    /// The longest call of the base first.
    A,
    /// The longest call of the other first.
    B,
}

/// What a path comes to, in a word or two.
pub fn verdict(path: &DiffPath) -> (&'static str, &'static str) {
    match (&path.a, &path.b, path.length) {
        (Some(_), None, _) => ("only in A", "only-a"),
        (None, Some(_), _) => ("only in B", "only-b"),
        (_, _, Some(shift)) => shift_words(shift.verdict),
        _ => ("", "none"),
    }
}

/// A verdict, and the class that it wears.
pub fn shift_words(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::ABetter => ("A better", "a-better"),
        Verdict::BBetter => ("B better", "b-better"),
        Verdict::Equivalent => ("equivalent", "equivalent"),
        Verdict::Inconclusive => ("inconclusive", "inconclusive"),
    }
}

/// `+1.20 ms`, `−58.0 µs`, `±0`.
pub fn signed(ns: i64) -> String {
    let size = format::duration(ns.unsigned_abs());
    match ns {
        0 => "±0".to_owned(),
        1.. => format!("+{size}"),
        _ => format!("−{size}"),
    }
}

/// `+1.10 ms to +1.30 ms`; nothing where no interval could be had.
pub fn interval(shift: &Shift) -> String {
    shift.interval_ns.map_or_else(String::new, |(low, high)| {
        format!("{} to {}", signed(low), signed(high))
    })
}

/// The finding: which side is quicker, by how much, and where it comes from.
pub fn sentence(diff: &Diff) -> String {
    let whole = diff.whole;
    let mut text = match whole.verdict {
        Verdict::ABetter => format!(
            "A is quicker, by {}",
            format::duration(whole.by_ns.unsigned_abs())
        ),
        Verdict::BBetter => format!(
            "B is quicker, by {}",
            format::duration(whole.by_ns.unsigned_abs())
        ),
        Verdict::Equivalent => "A and B take as long as each other".to_owned(),
        Verdict::Inconclusive if is_one_each(diff) => match whole.by_ns {
            0 => "A and B took as long as each other".to_owned(),
            ns => {
                let slower = if ns > 0 { "B" } else { "A" };
                format!(
                    "{slower} took {} longer; one trace each proves nothing",
                    format::duration(ns.unsigned_abs())
                )
            }
        },
        Verdict::Inconclusive => format!(
            "No difference can be told from {} and {} traces",
            diff.a.traces, diff.b.traces
        ),
    };
    let gained = diff.paths.iter().filter(|path| path.a.is_none()).count() as u64;
    let lost = diff.paths.iter().filter(|path| path.b.is_none()).count() as u64;
    if gained + lost > 0 {
        text.push_str(&format!(
            "; {} only in A, {} only in B",
            format::plural(lost, "call is", "calls are"),
            format::plural(gained, "is", "are")
        ));
    }
    text.push('.');
    text
}

/// Where most of the difference lies: the path that differs most without the calls that it makes.
pub fn cause(diff: &Diff) -> Option<String> {
    let most = diff
        .paths
        .iter()
        .filter_map(|path| path.own.map(|own| (path, own)))
        .max_by_key(|(_, own)| own.by_ns.unsigned_abs())?;
    let (path, own) = most;
    if own.by_ns == 0 {
        return None;
    }
    let mut text = format!(
        "The largest part is {} {}: {} a call, without what it calls",
        path.handler,
        path.label,
        signed(own.by_ns)
    );
    let between =
        |side: &Option<protocol::api::diff::PathSide>| side.as_ref().map_or(0, |side| side.between_median_ns);
    let (a, b) = (between(&path.a), between(&path.b));
    if a.abs_diff(b) * 2 > own.by_ns.unsigned_abs() {
        text.push_str(&format!(
            "; packing and travel take {} instead of {}",
            format::duration(b),
            format::duration(a)
        ));
    }
    text.push('.');
    Some(text)
}

fn is_one_each(diff: &Diff) -> bool {
    diff.a.traces == 1 && diff.b.traces == 1
}

/// What a side is: `POST /cart/checkout, apart: 30 traces, 1,470 spans`.
pub fn side(side: &DiffSide) -> String {
    let name = if side.name.is_empty() {
        "several requests"
    } else {
        &side.name
    };
    let mut text = format!(
        "{name}, {}: {}, {}",
        format::list(&side.placements),
        format::plural(u64::from(side.traces), "trace", "traces"),
        format::plural(side.spans, "span", "spans")
    );
    if side.is_cut {
        text.push_str(" (the newest)");
    }
    if side.failed > 0 {
        text.push_str(&format!(", {} failed", side.failed));
    }
    text
}

/// The rows in an order.
pub fn ordered(diff: &Diff, order: Order) -> Vec<&DiffPath> {
    let mut rows: Vec<&DiffPath> = diff.paths.iter().collect();
    let median =
        |side: &Option<protocol::api::diff::PathSide>| side.as_ref().map_or(0, |side| side.median_ns);
    match order {
        Order::Tree => {}
        Order::Difference => rows.sort_by_key(|path| {
            let by = path.length.map_or(0, |shift| shift.by_ns.unsigned_abs());
            // What only one side calls differs by all that it takes.
            let only = if path.length.is_none() {
                median(&path.a).max(median(&path.b))
            } else {
                0
            };
            std::cmp::Reverse(by.max(only))
        }),
        Order::A => rows.sort_by_key(|path| std::cmp::Reverse(median(&path.a))),
        Order::B => rows.sort_by_key(|path| std::cmp::Reverse(median(&path.b))),
    }
    rows
}

#[cfg(test)]
mod tests {
    use protocol::api::diff::PathSide;
    use protocol::{SpanId, TraceId};

    use super::*;

    fn shift(by_ns: i64, verdict: Verdict) -> Shift {
        Shift {
            by_ns,
            interval_ns: Some((by_ns - 10, by_ns + 10)),
            samples: (30, 30),
            verdict,
        }
    }

    fn path(handler: &str, a: u64, b: u64, own: i64) -> DiffPath {
        let side = |ns: u64| {
            (ns > 0).then(|| PathSide {
                traces: 30,
                calls: 30,
                calls_per_trace: 1.0,
                failed: 0,
                median_ns: ns,
                own_median_ns: ns,
                between_median_ns: ns / 2,
                ways: Vec::new(),
                slowest: (TraceId(1), SpanId(1)),
            })
        };
        let both = a > 0 && b > 0;
        DiffPath {
            depth: 0,
            caller: String::new(),
            handler: handler.to_owned(),
            label: "call".to_owned(),
            a: side(a),
            b: side(b),
            length: both.then(|| shift(b as i64 - a as i64, Verdict::ABetter)),
            own: both.then(|| shift(own, Verdict::ABetter)),
        }
    }

    fn diff(traces: u32, whole: Shift) -> Diff {
        let side = DiffSide {
            name: "GET /cart".to_owned(),
            traces,
            spans: 1_470,
            is_cut: true,
            failed: 0,
            median_ns: 1_000,
            placements: vec!["apart".to_owned()],
        };
        Diff {
            a: side.clone(),
            b: side,
            whole,
            paths: vec![
                path("cart", 100, 900, 40),
                path("payment", 1_000, 1_500, 500),
                path("email", 0, 70, 0),
            ],
            left_out: 0,
        }
    }

    #[test]
    fn the_sentence_says_who_is_quicker_or_that_nobody_knows() {
        let text = sentence(&diff(30, shift(1_200_000, Verdict::ABetter)));
        assert_eq!(
            text,
            "A is quicker, by 1.20 ms; 0 calls are only in A, 1 is only in B."
        );
        let text = sentence(&diff(30, shift(5, Verdict::Inconclusive)));
        assert!(
            text.starts_with("No difference can be told from 30 and 30 traces"),
            "{text}"
        );
        let text = sentence(&diff(1, shift(-2_000, Verdict::Inconclusive)));
        assert!(
            text.starts_with("A took 2.00 µs longer; one trace each proves nothing"),
            "{text}"
        );
        let text = cause(&diff(30, shift(5, Verdict::ABetter))).unwrap();
        assert_eq!(
            text,
            "The largest part is payment call: +500 ns a call, without what it calls."
        );
        assert_eq!(
            side(&diff(30, shift(5, Verdict::ABetter)).a),
            "GET /cart, apart: 30 traces, 1,470 spans (the newest)"
        );
    }

    #[test]
    fn rows_are_ordered_by_what_is_asked() {
        let diff = diff(30, shift(5, Verdict::ABetter));
        let names = |order| -> Vec<&str> {
            ordered(&diff, order)
                .iter()
                .map(|path| path.handler.as_str())
                .collect()
        };
        assert_eq!(names(Order::Tree), ["cart", "payment", "email"]);
        assert_eq!(names(Order::Difference), ["cart", "payment", "email"]);
        assert_eq!(names(Order::A), ["payment", "cart", "email"]);
        assert_eq!(verdict(&diff.paths[2]).0, "only in B");
    }

    #[test]
    fn differences_have_their_sign() {
        assert_eq!(
            [1_200_000, -58_000, 0].map(signed),
            ["+1.20 ms", "−58.0 µs", "±0"]
        );
        assert_eq!(interval(&shift(1_000, Verdict::ABetter)), "+990 ns to +1.01 µs");
    }
}
