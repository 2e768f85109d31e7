//! Retention: which traces go when the store has grown beyond its size, or they beyond their age. Pure.
//!
//! Promises: the oldest go first and whole; for the size, the newest stays, however large it is. A slice is small, so
//! that spans that arrive meanwhile wait no longer than for a batch. Deleted pages are used again: the file grows no
//! further, and what is reported is the part that is in use.

/// Spans deleted in one transaction. A batch of arrivals is at most half as many, so deleting keeps up.
pub(super) const SLICE_SPANS: u64 = 4_000;
/// Traces looked at for one slice.
pub(super) const SLICE_TRACES: u32 = 1_000;
/// The most spans of one trace; further ones are dropped and counted, so that one trace cannot fill the store.
pub(super) const TRACE_SPANS_MAX: usize = 2_000_000;

/// The id up to which traces go, given the oldest ones with their spans, and the newest one's id.
pub(super) fn slice(oldest: &[(i64, u64)], newest: i64) -> Option<i64> {
    let mut spans = 0;
    let mut last = None;
    for (id, its_spans) in oldest.iter().filter(|(id, _)| *id < newest) {
        spans += its_spans;
        if last.is_some() && spans > SLICE_SPANS {
            break;
        }
        last = Some(*id);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_holds_whole_traces_up_to_its_size() {
        assert_eq!(slice(&[(3, 1_500), (4, 1_500), (7, 1_500), (9, 1)], 99), Some(4));
    }

    #[test]
    fn a_trace_larger_than_a_slice_goes_alone() {
        assert_eq!(slice(&[(3, 90_000), (4, 1)], 99), Some(3));
    }

    #[test]
    fn the_newest_stays() {
        assert_eq!(slice(&[(3, 1), (4, 1)], 4), Some(3));
        assert_eq!(slice(&[(4, 90_000)], 4), None);
        assert_eq!(slice(&[], 0), None);
    }
}
