//! The nine steps of a call: who does what, and how long it took.
//!
//! Promises: the steps' times sum to the call's; the two halves of the travel are marked as such, because only their
//! sum is measured. Not here: how the stages are measured, which is the server's.

use protocol::{CallerStages, Transport};

use crate::format;

/// The colour of a step: the same in the table, the picture and every legend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Values leave or enter a module's memory.
    Lower,
    /// Values become bytes on the way, or the reverse.
    Codec,
    /// Bytes are on their way.
    Travel,
    /// The call waits for an instance.
    Wait,
    /// The module runs.
    Run,
    /// The module waits for calls of its own.
    Outgoing,
}

impl Colour {
    /// The class that sets `--stage`.
    pub fn class(self) -> &'static str {
        match self {
            Self::Lower => "stage-lower",
            Self::Codec => "stage-codec",
            Self::Travel => "stage-travel",
            Self::Wait => "stage-wait",
            Self::Run => "stage-run",
            Self::Outgoing => "stage-outgoing",
        }
    }
}

/// One step of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// 1 to 9; the callee's own calls, which are none of the nine, have the number of the run that they interrupt.
    pub number: u8,
    /// What happens, in words.
    pub words: String,
    /// Its colour.
    pub colour: Colour,
    /// How long it took.
    pub ns: u64,
    /// Whether the time is half of a measured one.
    pub half: bool,
    /// Whether it happens at the callee.
    pub at_callee: bool,
}

/// The steps in their order: nine, and the callee's own calls where it made any.
pub fn steps(stages: &CallerStages, callee: &str) -> Vec<Step> {
    let mut steps = Vec::with_capacity(10);
    let mut add = |number, words: &str, colour, ns, at_callee| {
        steps.push(Step {
            number,
            words: words.to_owned(),
            colour,
            ns,
            half: matches!(number, 3 | 8) && ns > 0,
            at_callee,
        });
    };
    let inside = &stages.callee;
    // What the callee's parts leave of its total is the switching between them, and belongs to its stub.
    let parts = inside.decode + inside.wait + inside.run + inside.outgoing + inside.encode;
    let between = inside.total.saturating_sub(parts);
    let there = stages.travel / 2;
    add(
        1,
        "arguments leave the caller's memory",
        Colour::Lower,
        stages.lift,
        false,
    );
    add(
        2,
        "client stub routes, frames and sends",
        Colour::Codec,
        stages.send,
        false,
    );
    add(3, "request travels", Colour::Travel, there, false);
    add(
        4,
        "server stub unpacks into the callee",
        Colour::Codec,
        inside.decode + between,
        true,
    );
    add(5, "waits for an instance", Colour::Wait, inside.wait, true);
    add(6, &format!("{callee} runs"), Colour::Run, inside.run, true);
    if inside.outgoing > 0 {
        add(
            6,
            &format!("{callee} waits for its own calls"),
            Colour::Outgoing,
            inside.outgoing,
            true,
        );
    }
    add(7, "result is packed", Colour::Codec, inside.encode, true);
    add(8, "reply travels", Colour::Travel, stages.travel - there, false);
    add(
        9,
        "result enters the caller's memory",
        Colour::Lower,
        stages.lower,
        false,
    );
    steps
}

/// The whole call as the stages tell it.
pub fn total(steps: &[Step]) -> u64 {
    steps.iter().map(|step| step.ns).sum()
}

/// The finding in a sentence: what the call was made of.
pub fn sentence(stages: &CallerStages, caller: &str, callee: &str, transport: Transport) -> String {
    let steps = steps(stages, callee);
    let total = total(&steps) as f64;
    let work = stages.callee.run + stages.callee.outgoing;
    let share = format::percent(work as f64, total);
    let stubs = stages.lift + stages.send + stages.lower + stages.callee.decode + stages.callee.encode;
    let carrier = match transport {
        Transport::Quic => Some("QUIC"),
        Transport::Tcp => Some("TCP with TLS"),
        Transport::Uds => Some("A Unix socket"),
        Transport::Direct | Transport::Codec | Transport::Queue => None,
    };
    let handing_over = match transport {
        Transport::Codec => "packing the values into the bytes of the wire and out again",
        _ => "handing the values over",
    };
    let mut text = match carrier {
        // Between the two stubs lies no network, only the way from one part of the process to the other.
        None => format!(
            "{caller} and {callee} share a process: no network in between, {} went into {handing_over}.",
            format::duration(stubs + stages.travel)
        ),
        Some(carrier) => format!(
            "{carrier} carried the arguments to {callee} and the result back in {}; packing and unpacking took {}.",
            format::duration(stages.travel),
            format::duration(stubs)
        ),
    };
    text.push_str(&format!(" {share} of the call was {callee}'s own work"));
    if stages.callee.outgoing > stages.callee.run {
        text.push_str(", most of it waiting for calls of its own");
    }
    if stages.callee.wait as f64 > total * 0.1 {
        text.push_str(&format!(
            "; {} it waited for a free instance",
            format::duration(stages.callee.wait)
        ));
    }
    text.push('.');
    text
}

/// Bars of the two-lane picture: for each step its left and width, from 0 to 1. Short steps keep a least width, so
/// that all nine can be seen; the table has the true lengths.
pub fn lanes(steps: &[Step]) -> Vec<(f64, f64)> {
    const LEAST: f64 = 0.028;
    const TRAVEL_LEAST: f64 = 0.07;
    let total = total(steps).max(1) as f64;
    // The square root keeps long steps longer without hiding the rest.
    let weights: Vec<f64> = steps
        .iter()
        .map(|step| {
            let least = if step.colour == Colour::Travel {
                TRAVEL_LEAST
            } else {
                LEAST
            };
            least + (step.ns as f64 / total).sqrt() * 0.6
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    let mut left = 0.0;
    weights
        .into_iter()
        .map(|weight| {
            let bar = (left / sum, weight / sum);
            left += weight;
            bar
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::CalleeStages;

    const APART: CallerStages = CallerStages {
        lift: 2_100,
        send: 3_400,
        travel: 119_001,
        lower: 1_600,
        callee: CalleeStages {
            total: 3_137_700,
            decode: 2_900,
            wait: 1_240_000,
            run: 1_893_000,
            outgoing: 0,
            encode: 1_800,
        },
    };

    #[test]
    fn nine_steps_sum_to_the_call() {
        let steps = steps(&APART, "payment");
        assert_eq!(
            steps.iter().map(|step| step.number).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6, 7, 8, 9]
        );
        assert_eq!(total(&steps), 2_100 + 3_400 + 119_001 + 3_137_700 + 1_600);
        assert!(steps[2].half && steps[7].half && !steps[5].half);
        assert_eq!(steps[2].ns + steps[7].ns, 119_001);
    }

    #[test]
    fn own_calls_of_the_callee_are_told_apart_and_rests_are_not_lost() {
        let mut stages = APART;
        stages.callee.outgoing = 500_000;
        stages.callee.total += 500_000 + 300;
        let steps = steps(&stages, "checkout");
        assert_eq!(steps.len(), 10);
        assert_eq!(steps[6].words, "checkout waits for its own calls");
        assert_eq!(
            total(&steps),
            2_100 + 3_400 + 119_001 + stages.callee.total + 1_600
        );
    }

    #[test]
    fn a_call_within_the_process_does_not_travel() {
        let stages = CallerStages { travel: 0, ..APART };
        assert!(steps(&stages, "cart").iter().all(|step| !step.half));
        let text = sentence(&stages, "frontend", "cart", Transport::Direct);
        assert!(text.starts_with("frontend and cart share a process"), "{text}");
        let text = sentence(&stages, "frontend", "cart", Transport::Codec);
        assert!(text.contains("the bytes of the wire"), "{text}");
    }

    #[test]
    fn the_sentence_names_travel_and_a_long_wait() {
        let text = sentence(&APART, "checkout", "payment", Transport::Uds);
        assert!(text.starts_with("A Unix socket carried"), "{text}");
        let text = sentence(&APART, "checkout", "payment", Transport::Quic);
        assert!(
            text.contains("in 119 µs") && text.contains("1.24 ms it waited"),
            "{text}"
        );
        assert!(text.contains("58 % of the call"), "{text}");
    }

    #[test]
    fn lanes_show_every_step_and_fill_the_width() {
        let lanes = lanes(&steps(&APART, "payment"));
        assert!(lanes.iter().all(|(_, width)| *width > 0.01));
        let (left, width) = lanes[8];
        assert!((left + width - 1.0).abs() < 1e-9);
        assert!(
            lanes
                .windows(2)
                .all(|pair| (pair[0].0 + pair[0].1 - pair[1].0).abs() < 1e-9)
        );
    }
}
