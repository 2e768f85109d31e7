//! Blocks there and back, and hostile ones.

use proptest::prelude::*;
use protocol::{Span, TraceId};

use super::super::testing::{any_trace, numbers, word};
use super::*;

fn packed(spans: &[Span]) -> (Vec<u8>, Vec<u8>) {
    let rows: Vec<_> = spans.iter().map(|span| (span, numbers(span))).collect();
    pack(&rows)
}

fn unpacked(head: &[u8], rest: &[u8]) -> Result<Vec<Span>, Damage> {
    let head = Head::read(head)?;
    let rest = Rest::read(rest, head.len())?;
    let mut naming = Naming::new(TraceId(1), &word);
    (0..head.len())
        .map(|at| rest.span(&head, at, &mut naming))
        .collect()
}

/// Times at the ends of what 64 bits hold: clocks can be anything.
fn any_clock(spans: Vec<Span>, shift: u64) -> Vec<Span> {
    let moved = |span: Span| Span {
        start_unix_ns: span
            .start_unix_ns
            .wrapping_add(shift.wrapping_mul(span.span_id.0)),
        duration_ns: span.duration_ns.wrapping_mul(shift),
        ..span
    };
    spans.into_iter().map(moved).collect()
}

proptest! {
    #[test]
    fn spans_read_back_as_they_were(spans in any_trace(1), shift in any::<u64>()) {
        let spans = any_clock(spans, shift);
        let (head, rest) = packed(&spans);
        prop_assert_eq!(unpacked(&head, &rest).unwrap(), spans);
    }

    #[test]
    fn damaged_bytes_are_an_error_and_never_a_panic(
        spans in any_trace(1),
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 0..4),
        is_head in any::<bool>(),
    ) {
        let (mut head, mut rest) = packed(&spans);
        let bytes = if is_head { &mut head } else { &mut rest };
        if flips.is_empty() {
            bytes.truncate(cut.index(bytes.len()));
        }
        for (at, bit) in &flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let outcome = unpacked(&head, &rest);
        // A flipped bit may make another valid block; a missing end never does.
        prop_assert!(!flips.is_empty() || outcome.is_err());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(head in prop::collection::vec(any::<u8>(), 0..200), rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = unpacked(&head, &rest);
        let mut head = head;
        if head.len() > 1 {
            (head[0], head[1]) = (1, head[1] % 16);
        }
        let _ = unpacked(&head, &rest);
    }
}

#[test]
fn a_length_that_bytes_only_claim_allocates_nothing() {
    // Version, then 2^42 spans or names.
    for claim in [
        vec![1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
        vec![1, 0, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ] {
        let error = Head::read(&claim).unwrap_err().to_string();
        assert_eq!(error, "its head counts more than it holds");
    }
}

#[test]
fn a_span_takes_some_fifty_bytes() {
    let spans: Vec<Span> = (1..=1_000u64)
        .map(|id| Span {
            span_id: protocol::SpanId(id.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            ..super::super::testing::span(1, id, Some(7))
        })
        .collect();
    let (head, rest) = packed(&spans);
    assert!((20..40).contains(&(head.len() / 1_000)), "{}", head.len());
    assert!(rest.len() / 1_000 < 20, "{}", rest.len());
}
