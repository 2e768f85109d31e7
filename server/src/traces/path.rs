//! The critical path through queues: from the request that sent a message, over its wait, to what handled it.
//!
//! Promises: begins with the first request, whichever of its traces is asked for; each trace is told once, also where
//! links run in a circle; at most `LEGS_MAX` traces and `HOPS_MAX` queues in a row. Of what a trace sends, the branch
//! that ends last is the critical one.

use std::collections::HashSet;

use protocol::TraceId;
use protocol::api::path::{HOPS_MAX, LEGS_MAX, PathLeg, PathPart, PathStart, TracePath};
use protocol::api::traces::LinkedTrace;

use super::rows::Laid;
use super::store::read::Stored;
use super::{Error, Traces};

/// A leg's critical path is told in stretches of at least one of so many parts of its time.
const PARTS: u64 = 120;

impl Traces {
    /// The traces before and after one, as one timeline.
    pub async fn path(&self, trace_id: TraceId) -> Result<Option<TracePath>, Error> {
        let first = self.first(trace_id).await?;
        let Some((stored, laid)) = self.laid(first).await? else {
            return Ok(None);
        };
        let mut told = TracePath {
            legs: vec![leg(&stored, &laid, None, 0)],
            end_ns: 0,
            is_cut: false,
        };
        let mut seen = HashSet::from([first]);
        let mut waiting = vec![(0_u32, 0_usize, stored)];
        while let Some((at, hops, stored)) = waiting.pop() {
            let links = self
                .linked(stored.summary.trace_id, None)
                .await?
                .unwrap_or_default();
            let mut links: Vec<LinkedTrace> = links.into_iter().filter(|link| link.follows).collect();
            links.retain(|link| seen.insert(link.trace_id));
            let Some((_, laid)) = self.laid(stored.summary.trace_id).await? else {
                continue;
            };
            for link in links {
                if told.legs.len() >= LEGS_MAX || hops >= HOPS_MAX {
                    told.is_cut = true;
                    break;
                }
                let Some((next, next_laid)) = self.laid(link.trace_id).await? else {
                    continue;
                };
                let sent_ns = sent(&laid, &link) + told.legs[at as usize].start_ns;
                let from = PathStart {
                    leg: at,
                    span: link.here,
                    sent_ns,
                };
                let leg = leg(&next, &next_laid, Some(from), sent_ns + link.wait_ns);
                let place = u32::try_from(told.legs.len()).unwrap_or(u32::MAX);
                told.legs.push(leg);
                waiting.push((place, hops + 1, next));
            }
        }
        finish(&mut told);
        Ok(Some(told))
    }

    /// The trace that all began with.
    async fn first(&self, trace_id: TraceId) -> Result<TraceId, Error> {
        let mut first = trace_id;
        let mut seen = HashSet::from([first]);
        for _ in 0..HOPS_MAX {
            let Some((stored, _)) = self.laid(first).await? else {
                break;
            };
            let links = self
                .linked(stored.summary.trace_id, None)
                .await?
                .unwrap_or_default();
            let before = links
                .iter()
                .find(|link| !link.follows && seen.insert(link.trace_id));
            match before {
                Some(before) => first = before.trace_id,
                None => break,
            }
        }
        Ok(first)
    }
}

/// When a message was sent, after its trace's start: at the end of the span that sent it.
fn sent(laid: &Laid, link: &LinkedTrace) -> u64 {
    laid.find(link.here.0).map_or(0, |at| laid.tree.end_ns(at))
}

fn leg(stored: &Stored, laid: &Laid, from: Option<PathStart>, start_ns: u64) -> PathLeg {
    let skeleton = &laid.skeleton;
    let node = laid
        .find(stored.root.0)
        .map_or("", |at| skeleton.text(skeleton.node[at]));
    PathLeg {
        trace_id: stored.summary.trace_id,
        name: stored.summary.name.clone(),
        handler: stored.summary.handler.clone(),
        node: protocol::NodeName::parse(node).unwrap_or_else(|_| protocol::NodeName::home()),
        from,
        start_ns,
        end_ns: start_ns.saturating_add(laid.duration_ns()),
        errors: stored.summary.errors,
        is_critical: false,
        parts: parts(laid, start_ns),
    }
}

/// A trace's critical path by handler.
fn parts(laid: &Laid, start_ns: u64) -> Vec<PathPart> {
    let least = laid.duration_ns() / PARTS;
    let mut joined: Vec<(u32, u64, u64)> = Vec::new();
    for part in &laid.path {
        let handler = laid.skeleton.handler[part.span as usize];
        match joined.last_mut() {
            Some(last) if last.0 == handler => last.2 = part.end,
            _ => {
                joined.pop_if(|last| last.2 - last.1 < least);
                match joined.last_mut() {
                    Some(last) if last.0 == handler => last.2 = part.end,
                    _ => joined.push((handler, part.start, part.end)),
                }
            }
        }
    }
    let mut ends: Vec<u64> = joined.iter().skip(1).map(|(_, start, _)| *start).collect();
    ends.extend(joined.last().map(|(.., end)| *end));
    let told = joined
        .into_iter()
        .zip(ends)
        .map(|((handler, start, _), end)| PathPart {
            handler: laid.skeleton.text(handler).to_owned(),
            start_ns: start_ns + start,
            end_ns: start_ns + end,
        });
    told.collect()
}

/// Marks the legs that the end had to wait for: from the one that ended last, back to the first.
fn finish(told: &mut TracePath) {
    told.end_ns = told.legs.iter().map(|leg| leg.end_ns).max().unwrap_or(0);
    let last = (0..told.legs.len()).max_by_key(|at| (told.legs[*at].end_ns, std::cmp::Reverse(*at)));
    let mut at = last;
    while let Some(leg) = at.and_then(|at| told.legs.get_mut(at)) {
        leg.is_critical = true;
        at = leg.from.map(|from| from.leg as usize);
    }
}

#[cfg(test)]
mod tests {
    use protocol::HandlerName;

    use super::*;

    fn leg(from: Option<u32>, start_ns: u64, end_ns: u64) -> PathLeg {
        PathLeg {
            trace_id: TraceId(u128::from(end_ns)),
            name: "process".to_owned(),
            handler: HandlerName::queue(),
            node: protocol::NodeName::home(),
            from: from.map(|leg| PathStart {
                leg,
                span: protocol::SpanId(1),
                sent_ns: start_ns,
            }),
            start_ns,
            end_ns,
            errors: 0,
            is_critical: false,
            parts: Vec::new(),
        }
    }

    /// Which legs are critical, of legs as (from, start, end).
    fn critical(legs: &[(Option<u32>, u64, u64)]) -> Vec<bool> {
        let legs = legs.iter().map(|(from, start, end)| leg(*from, *start, *end));
        let mut told = TracePath {
            legs: legs.collect(),
            end_ns: 0,
            is_cut: false,
        };
        finish(&mut told);
        told.legs.iter().map(|leg| leg.is_critical).collect()
    }

    #[test]
    fn of_several_branches_the_one_that_ends_last_is_critical() {
        let fan_out = [
            (None, 0, 100),
            (Some(0), 150, 200),
            (Some(0), 120, 900),
            (Some(1), 300, 800),
        ];
        assert_eq!(critical(&fan_out), [true, false, true, false]);
        let chain = [(None, 0, 100), (Some(0), 150, 200), (Some(1), 300, 800)];
        assert_eq!(critical(&chain), [true, true, true]);
        let early = [(None, 0, 1_000), (Some(0), 50, 200)];
        assert_eq!(critical(&early), [true, false], "the request itself ended last");
    }
}
