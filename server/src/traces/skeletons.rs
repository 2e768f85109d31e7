//! `Skeletons`: the skeletons of the last few large traces that somebody looked at.
//!
//! Promises: at most some hundred megabytes, none longer than a minute after it was last asked for; of a trace that has
//! grown only what is new is read; who asks for one that is being read waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use protocol::{Span, TraceId};
use sqlx::sqlite::SqliteConnection;
use tokio::sync::Semaphore;

use super::block::Naming;
use super::skeleton::{Builder, Skeleton};
use super::store::{Words, blocks};

/// All of them together.
const BYTES_MAX: usize = 256 << 20;
/// Traces with fewer spans are read anew: that takes less than a millisecond.
const SPANS_MIN: usize = 1_000;
/// How long one is kept after it was last asked for.
const KEEP: Duration = Duration::from_secs(60);

/// Skeletons by their trace.
#[derive(Debug)]
pub(super) struct Skeletons {
    kept: Mutex<HashMap<TraceId, Kept>>,
    /// One is read at a time: several views of one page ask together.
    reading: Semaphore,
}

#[derive(Debug, Clone)]
struct Kept {
    /// The row of its trace; another one after the trace was deleted and has come again.
    row: i64,
    skeleton: Arc<Skeleton>,
    used: Instant,
}

impl Default for Skeletons {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            reading: Semaphore::new(1),
        }
    }
}

impl Skeletons {
    /// The skeleton of a trace as it is now, `None` if there is none.
    pub(super) async fn get(
        &self,
        connection: &mut SqliteConnection,
        words: &Words,
        trace_id: TraceId,
    ) -> Result<Option<Arc<Skeleton>>, sqlx::Error> {
        let Some(row) = blocks::row_of(&mut *connection, trace_id).await? else {
            self.forget(trace_id);
            return Ok(None);
        };
        let mut list = blocks::list(&mut *connection, row).await?;
        let is_small = spans_of(&list) < SPANS_MIN;
        // It is never closed, and without a turn the trace would only be read twice.
        let turn = if is_small {
            None
        } else {
            self.reading.acquire().await.ok()
        };
        if turn.is_some() {
            list = blocks::list(&mut *connection, row).await?;
        }
        let spans = spans_of(&list);
        let known = self.take(trace_id, row).filter(|known| known.len() <= spans);
        if let Some(known) = &known
            && known.len() == spans
        {
            return Ok(Some(Arc::clone(known)));
        }
        let known = known.map_or_else(|| Skeleton::new(trace_id), Arc::unwrap_or_clone);
        let (first, mut skip) = first_new(&list, known.len());
        let word = |number| words.get(number);
        let skeleton = {
            let mut builder = Builder::on(known, &word);
            blocks::heads(&mut *connection, (row, first), |number, head| {
                builder.add(number, head, std::mem::take(&mut skip));
            })
            .await?;
            let mut skeleton = builder.finish();
            skeleton.place(&list);
            Arc::new(skeleton)
        };
        if !is_small {
            self.keep(trace_id, row, &skeleton);
        }
        Ok(Some(skeleton))
    }

    /// Forgets what nobody has asked for lately.
    pub(super) fn tidy(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.used.elapsed() < KEEP);
    }

    fn take(&self, trace_id: TraceId, row: i64) -> Option<Arc<Skeleton>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.get_mut(&trace_id).filter(|kept| kept.row == row)?;
        known.used = Instant::now();
        Some(Arc::clone(&known.skeleton))
    }

    fn forget(&self, trace_id: TraceId) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&trace_id);
    }

    fn keep(&self, trace_id: TraceId, row: i64, skeleton: &Arc<Skeleton>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = Kept {
            row,
            skeleton: Arc::clone(skeleton),
            used: Instant::now(),
        };
        kept.insert(trace_id, newest);
        let bytes = |kept: &HashMap<_, Kept>| kept.values().map(|kept| kept.skeleton.bytes()).sum::<usize>();
        while kept.len() > 1 && bytes(&kept) > BYTES_MAX {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.used).map(|(id, _)| *id);
            let Some(oldest) = oldest else { return };
            kept.remove(&oldest);
        }
    }
}

fn spans_of(list: &[(u32, u32)]) -> usize {
    list.iter().map(|(_, spans)| *spans as usize).sum()
}

/// The block with the first span beyond the known ones, and how many of its spans are known.
fn first_new(list: &[(u32, u32)], known: usize) -> (u32, usize) {
    let mut before = 0;
    for (number, spans) in list {
        let end = before + *spans as usize;
        if end > known {
            return (*number, known - before);
        }
        before = end;
    }
    (0, 0)
}

/// Whole spans of a trace by their indices, in the order of these; `None` if the trace is no longer what it was.
pub(super) async fn spans_at(
    connection: &mut SqliteConnection,
    words: &Words,
    skeleton: &Skeleton,
    wanted: &[usize],
) -> Result<Option<Vec<Span>>, sqlx::Error> {
    let Some(row) = blocks::row_of(&mut *connection, skeleton.trace_id).await? else {
        return Ok(None);
    };
    // Blocks may have become one since the skeleton was read; the order of the spans has not changed.
    let list = blocks::list(&mut *connection, row).await?;
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_unstable_by_key(|at| wanted[*at]);
    let mut places: HashMap<u32, Vec<(usize, usize)>> = HashMap::new();
    let mut blocks_left = list.iter();
    let mut block = (0, 0, 0);
    for at in order {
        while wanted[at] >= block.2 {
            let Some((number, spans)) = blocks_left.next() else {
                return Ok(None);
            };
            block = (*number, block.2, block.2 + *spans as usize);
        }
        places
            .entry(block.0)
            .or_default()
            .push((at, wanted[at] - block.1));
    }
    let mut numbers: Vec<u32> = places.keys().copied().collect();
    numbers.sort_unstable();
    let word = |number| words.get(number);
    let mut naming = Naming::new(skeleton.trace_id, &word);
    let mut spans: Vec<Option<Span>> = vec![None; wanted.len()];
    blocks::whole(connection, (row, &numbers), |number, head, rest| {
        for (at, place) in places.get(&number).into_iter().flatten() {
            spans[*at] = Some(rest.span(head, *place, &mut naming)?);
        }
        Ok(true)
    })
    .await?;
    let is_same = |(span, at): (&Option<Span>, &usize)| {
        let id = skeleton.id.get(*at);
        span.as_ref().is_some_and(|span| Some(&span.span_id.0) == id)
    };
    if !spans.iter().zip(wanted).all(is_same) {
        return Ok(None);
    }
    Ok(Some(spans.into_iter().flatten().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_begins_in_the_block_that_has_it() {
        let list = [(0, 10), (1, 10), (7, 5)];
        assert_eq!(first_new(&list, 0), (0, 0));
        assert_eq!(first_new(&list, 10), (1, 0));
        assert_eq!(first_new(&list, 13), (1, 3));
        assert_eq!(first_new(&list, 24), (7, 4));
        assert_eq!(first_new(&[], 0), (0, 0));
    }
}
