//! What a call is typically made of, by the way it goes. Pure.
//!
//! Promises: medians, so that one cold or disturbed call among many does not count; each says of how many calls; a way
//! without a call is left out rather than guessed.

use std::collections::BTreeMap;

use protocol::api::traces::TypicalSteps;
use protocol::span::CallerStages;
use protocol::{CalleeStages, Transport};

/// The calls of one way that count, the newest; a median of more would be no steadier.
pub(super) const SAMPLES_MAX: usize = 200;

/// A stored call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) transport: Transport,
    pub(super) start_unix_ns: u64,
    pub(super) stages: CallerStages,
}

/// The medians, by way.
pub(super) fn typical(samples: Vec<Sample>) -> Vec<TypicalSteps> {
    let mut ways: BTreeMap<Transport, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        ways.entry(sample.transport).or_default().push(sample);
    }
    ways.into_iter()
        .filter_map(|(transport, mut samples)| {
            samples.sort_by_key(|sample| std::cmp::Reverse(sample.start_unix_ns));
            samples.truncate(SAMPLES_MAX);
            let newest_unix_ns = samples.first()?.start_unix_ns;
            Some(TypicalSteps {
                transport,
                samples: u32::try_from(samples.len()).unwrap_or(u32::MAX),
                newest_unix_ns,
                duration_ns: median(&samples, whole),
                stages: stages(&samples),
            })
        })
        .collect()
}

fn stages(samples: &[Sample]) -> CallerStages {
    let mut callee = CalleeStages {
        total: median(samples, |stages| {
            stages.callee.total.saturating_sub(parts(&stages.callee))
        }),
        decode: median(samples, |stages| stages.callee.decode),
        wait: median(samples, |stages| stages.callee.wait),
        run: median(samples, |stages| stages.callee.run),
        outgoing: median(samples, |stages| stages.callee.outgoing),
        encode: median(samples, |stages| stages.callee.encode),
    };
    callee.total += parts(&callee);
    CallerStages {
        lift: median(samples, |stages| stages.lift),
        send: median(samples, |stages| stages.send),
        travel: median(samples, |stages| stages.travel),
        lower: median(samples, |stages| stages.lower),
        callee,
    }
}

fn parts(callee: &CalleeStages) -> u64 {
    callee.decode + callee.wait + callee.run + callee.outgoing + callee.encode
}

fn whole(stages: &CallerStages) -> u64 {
    stages.lift + stages.send + stages.travel + stages.callee.total + stages.lower
}

/// The value in the middle; of two, the lower.
fn median(samples: &[Sample], part: impl Fn(&CallerStages) -> u64) -> u64 {
    let mut values: Vec<u64> = samples.iter().map(|sample| part(&sample.stages)).collect();
    values.sort_unstable();
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(transport: Transport, start: u64, run: u64) -> Sample {
        let callee = CalleeStages {
            total: run + 7,
            run,
            decode: 4,
            ..CalleeStages::default()
        };
        Sample {
            transport,
            start_unix_ns: start,
            stages: CallerStages {
                lift: 1,
                send: 2,
                travel: if transport == Transport::Quic { 100 } else { 0 },
                lower: 1,
                callee,
            },
        }
    }

    #[test]
    fn ways_are_told_apart_and_an_outlier_does_not_count() {
        let samples = vec![
            sample(Transport::Quic, 5, 60),
            sample(Transport::Direct, 3, 50),
            sample(Transport::Direct, 1, 9_000_000),
            sample(Transport::Direct, 2, 40),
        ];
        let found = typical(samples);
        let ways: Vec<_> = found
            .iter()
            .map(|way| (way.transport, way.samples, way.newest_unix_ns))
            .collect();
        assert_eq!(ways, [(Transport::Direct, 3, 3), (Transport::Quic, 1, 5)]);
        assert_eq!(found[0].stages.callee.run, 50);
        assert_eq!(found[0].duration_ns, 1 + 2 + 50 + 7 + 1);
        assert_eq!(found[1].stages.travel, 100);
    }

    #[test]
    fn the_parts_of_the_callee_add_up_to_its_total() {
        let found = typical((0..9).map(|at| sample(Transport::Direct, at, at * at)).collect());
        let callee = found[0].stages.callee;
        assert_eq!(callee.total, parts(&callee) + 3);
    }

    #[test]
    fn only_the_newest_count() {
        let old = (0..100).map(|at| sample(Transport::Direct, at, 1_000));
        let new = (0..SAMPLES_MAX as u64).map(|at| sample(Transport::Direct, 1_000 + at, 10));
        let found = typical(old.chain(new).collect());
        assert_eq!(found[0].samples as usize, SAMPLES_MAX);
        assert_eq!(found[0].stages.callee.run, 10);
        assert_eq!(typical(Vec::new()), []);
    }
}
