//! Stored calls of one function by one handler, as samples of what they are made of.
//!
//! There is no index by function: the traces of the call's edge are known by `parts`, and their blocks are read. Each
//! placement is looked for by itself, because the newest traces are all of the one in force. Every step has a bound, so
//! that an edge that never was together costs some milliseconds and no more.

use protocol::SpanKind;
use protocol::span::Stages;
use sqlx::sqlite::SqliteConnection;

use super::super::block::{Head, Record, Rest, flag};
use super::super::steps::{SAMPLES_MAX, Sample};
use super::blocks;
use super::words::Words;

/// The placements that traces may have, as their word.
const PLACEMENTS: [&str; 3] = ["together", "apart", "groups"];
/// Traces of the edge that are looked through for a placement, the newest.
const TRACES_SEEN_MAX: i64 = 20_000;
/// Traces of a placement that are opened.
const TRACES_OPENED_MAX: i64 = 40;
/// Spans that are read of one trace, in whole blocks.
const SPANS_READ_MAX: u32 = 20_000;

/// Calls of `function` by `caller`, along `edge`, that did not fail and have their steps, of each placement.
pub(in crate::traces) async fn samples(
    connection: &mut SqliteConnection,
    words: &Words,
    (caller, edge, function): (&str, &str, &str),
) -> Result<Vec<Sample>, sqlx::Error> {
    let (Some(caller), Some(edge)) = (words.id(caller), words.id(edge)) else {
        return Ok(Vec::new());
    };
    let mut samples = Vec::new();
    for placement in PLACEMENTS.into_iter().filter_map(|placement| words.id(placement)) {
        let traces: Vec<i64> = sqlx::query_scalar(
            "SELECT t.id FROM (SELECT trace FROM parts WHERE word = ? ORDER BY trace DESC LIMIT ?) p \
             CROSS JOIN traces t ON t.id = p.trace WHERE t.placement = ? ORDER BY t.id DESC LIMIT ?",
        )
        .bind(edge)
        .bind(TRACES_SEEN_MAX)
        .bind(placement)
        .bind(TRACES_OPENED_MAX)
        .fetch_all(&mut *connection)
        .await?;
        let before = samples.len();
        for trace in traces {
            let mut spans = 0;
            let mut numbers = Vec::new();
            for (number, its_spans) in blocks::list(&mut *connection, trace).await? {
                spans += its_spans;
                if !numbers.is_empty() && spans > SPANS_READ_MAX {
                    break;
                }
                numbers.push(number);
            }
            blocks::whole(&mut *connection, (trace, &numbers), |_, head, rest| {
                take(head, rest, (caller, function), &mut samples)?;
                Ok(samples.len() - before < SAMPLES_MAX)
            })
            .await?;
            if samples.len() - before >= SAMPLES_MAX {
                break;
            }
        }
    }
    Ok(samples)
}

fn take(
    head: &Head<'_>,
    rest: &Rest<'_>,
    (caller, function): (u32, &str),
    samples: &mut Vec<Sample>,
) -> Result<(), super::super::block::Damage> {
    let Some(name) = head.names.iter().position(|name| *name == function) else {
        return Ok(());
    };
    let mut record = Record::default();
    for at in 0..head.len() {
        let is_call =
            head.handler[at] == caller && head.name[at] as usize == name && head.kind[at] == SpanKind::Client;
        if !is_call || head.status[at] == 2 || head.flags[at] & flag::CALLER == 0 {
            continue;
        }
        rest.record(head, at, &mut record)?;
        if let (Some(transport), Some(Stages::Caller(stages))) = (head.transport[at], record.stages) {
            samples.push(Sample {
                transport,
                start_unix_ns: head.start_ns[at],
                stages,
            });
        }
    }
    Ok(())
}
