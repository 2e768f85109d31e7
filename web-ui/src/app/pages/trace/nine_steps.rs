//! The nine steps of a call: the picture with two lanes, and the table, with what each step costs the other way.

use leptos::prelude::*;
use protocol::api::traces::TypicalSteps;
use protocol::{HandlerName, Span, Transport};

use super::typical::Typical;
use crate::app::live::Remote;
use crate::app::shell;
use crate::format;
use crate::steps::{Step, lanes, steps, total};

const WIDTH: f64 = 560.0;
const LEFT: f64 = 8.0;
const TOP_LANE: f64 = 46.0;
const BOTTOM_LANE: f64 = 112.0;
const BAR: f64 = 16.0;
/// How far a travel's number stands from its line.
const ASIDE: f64 = 11.0;

/// Caller above, callee below, time from left to right.
pub fn picture(steps: &[Step], caller: &str, callee: &str) -> AnyView {
    let room = WIDTH - 2.0 * LEFT;
    let shapes: Vec<_> = steps
        .iter()
        .zip(lanes(steps))
        .map(|(step, (left, width))| shape(step, LEFT + left * room, width * room))
        .collect();
    view! {
        <div class="lanes-frame"><svg class="lanes" viewBox="0 0 560 142" role="img" aria-label="The nine steps in time, the caller above, the callee below">
            <text class="lane-name" x="8" y="14">{caller.to_owned()}</text>
            <text class="lane-name" x="8" y="138">{callee.to_owned()}</text>
            <line class="lane-line" x1="8" x2="552" y1=TOP_LANE y2=TOP_LANE></line>
            <line class="lane-line" x1="8" x2="552" y1=BOTTOM_LANE y2=BOTTOM_LANE></line>
            {shapes}
        </svg></div>
    }
    .into_any()
}

fn shape(step: &Step, left: f64, width: f64) -> AnyView {
    let class = step.colour.class();
    let number = step.number.to_string();
    let middle = format!("{:.1}", left + width / 2.0);
    let title = format!("{}. {}: {}", step.number, step.words, format::duration(step.ns));
    if matches!(step.number, 3 | 8) {
        let down = step.number == 3;
        let (y1, y2) = if down {
            (TOP_LANE, BOTTOM_LANE)
        } else {
            (BOTTOM_LANE, TOP_LANE)
        };
        let path = format!("M{left:.1} {y1} L{:.1} {y2}", left + width);
        // Off the middle of the line, at a right angle to it, on its upper side.
        let height = BOTTOM_LANE - TOP_LANE;
        let share = ASIDE / width.hypot(height);
        let side = if down { height } else { -height };
        let x = format!("{:.1}", left + width / 2.0 + side * share);
        let y = format!("{:.1}", (TOP_LANE + BOTTOM_LANE) / 2.0 - width * share + 4.0);
        return view! {
            <g class=class>
                <title>{title}</title>
                <path class="lane-travel" d=path></path>
                <text class="lane-number" x=x y=y text-anchor="middle">{number}</text>
            </g>
        }
        .into_any();
    }
    let lane = if step.at_callee { BOTTOM_LANE } else { TOP_LANE };
    let y = lane - BAR / 2.0;
    let text = lane - BAR / 2.0 - 5.0;
    let (x, w) = (
        format!("{:.1}", left + 0.75),
        format!("{:.1}", (width - 1.5).max(2.0)),
    );
    let number = (step.colour != crate::steps::Colour::Outgoing).then_some(number);
    view! {
        <g class=class>
            <title>{title}</title>
            <rect class="lane-bar" x=x y=y width=w height=BAR rx="4"></rect>
            <text class="lane-number" x=middle y=text text-anchor="middle">{number}</text>
        </g>
    }
    .into_any()
}

/// What the same function costs when its calls go the other way.
#[derive(Clone)]
pub struct Other {
    /// `together` or `apart`.
    word: &'static str,
    /// The placement to choose for a sample, as its button says.
    remedy: &'static str,
    callee: HandlerName,
    /// What this call took, in ns.
    here: u64,
    answer: Memo<Remote<Option<TypicalSteps>>>,
}

impl Other {
    /// For a call that went to another node: together; for one within the process: apart.
    pub fn of(span: &Span, callee: &HandlerName, here: u64, typical: Typical) -> Option<Self> {
        let (word, remedy, transport) = match span.transport? {
            Transport::Quic | Transport::Uds | Transport::Tcp => ("together", "Together", Transport::Direct),
            Transport::Direct | Transport::Codec => ("apart", "Apart", Transport::Quic),
            Transport::Queue => return None,
        };
        Some(Self {
            word,
            remedy,
            callee: callee.clone(),
            here,
            answer: Memo::new(move |_| typical.of(transport)),
        })
    }

    /// The time of a step, the other way; a step that it does not have is a dash.
    fn cell(&self, step: &Step) -> String {
        self.answer.with(|answer| match answer {
            Remote::Loading => "…".to_owned(),
            Remote::Ready(Some(typical)) => match same_step(step, typical, self.callee.as_str()) {
                None | Some(0) => "–".to_owned(),
                Some(ns) => format::duration(ns),
            },
            Remote::Ready(None) | Remote::Failed(_) => "–".to_owned(),
        })
    }

    fn whole(&self) -> String {
        self.answer.with(|answer| match answer {
            Remote::Ready(Some(typical)) => format::duration(typical.duration_ns),
            Remote::Loading => "…".to_owned(),
            _ => "–".to_owned(),
        })
    }

    /// Of how many calls, how old, and what it means; or why there is nothing.
    fn words(&self) -> String {
        let Self { word, remedy, .. } = self;
        self.answer.with(|answer| match answer {
            Remote::Loading => format!("Looking for the same function {word}."),
            Remote::Failed(problem) => format!("{word} is not known: {}.", problem.title),
            Remote::Ready(None) => {
                format!("{word}: no sample yet. Press {remedy} on the map and send such a request again.")
            }
            Remote::Ready(Some(typical)) => format!(
                "{word}: {}; {}, the newest of {}.",
                ratio(self.here, typical.duration_ns),
                match typical.samples {
                    1 => "one call".to_owned(),
                    samples => format!("medians of {samples} calls"),
                },
                shell::time_of_day(typical.newest_unix_ns / 1_000_000)
            ),
        })
    }
}

/// The time of this step in the medians.
fn same_step(step: &Step, typical: &TypicalSteps, callee: &str) -> Option<u64> {
    let others = steps(&typical.stages, callee);
    let found = others
        .iter()
        .find(|other| other.number == step.number && other.colour == step.colour);
    found.map(|other| other.ns)
}

/// `51 × less than this call`.
fn ratio(here: u64, there: u64) -> String {
    let (more, less) = (here.max(there) as f64, here.min(there).max(1) as f64);
    match more / less {
        near if near < 1.05 => "as long as this call".to_owned(),
        times => format!(
            "{} × {} this call",
            format::ratio(times),
            if there < here { "less than" } else { "more than" }
        ),
    }
}

/// The steps with their times; beside them, where it is given, those of the other way.
pub fn table(steps: &[Step], other: Option<&Other>) -> AnyView {
    let longest = steps.iter().map(|step| step.ns).max().unwrap_or(1).max(1);
    let whole = total(steps);
    let mut last = 0;
    let rows: Vec<_> = steps
        .iter()
        .map(|step| {
            let is_new = std::mem::replace(&mut last, step.number) != step.number;
            row(step, is_new, (longest, whole), other)
        })
        .collect();
    let head = other.map(|other| view! { <th class="num">{other.word}</th> });
    let foot = other
        .cloned()
        .map(|other| view! { <td class="num soft" data-other="whole">{move || other.whole()}</td> });
    let words = other.cloned().map(
        |other| view! { <p class="small soft other-words" data-finding="other-way">{move || other.words()}</p> },
    );
    view! {
        <table class="steps">
            <thead>
                <tr><th></th><th>"step"</th><th></th><th class="num">"this call"</th><th class="num wide">"share"</th>{head}</tr>
            </thead>
            <tbody>{rows}</tbody>
            <tfoot>
                <tr>
                    <td></td>
                    <td>"the whole call"</td>
                    <td></td>
                    <td class="num" title=format::nanoseconds(whole)>{format::duration(whole)}</td>
                    <td class="wide"></td>
                    {foot}
                </tr>
            </tfoot>
        </table>
        {words}
    }
    .into_any()
}

fn row(step: &Step, is_new: bool, (longest, whole): (u64, u64), other: Option<&Other>) -> AnyView {
    let number = is_new.then(|| step.number.to_string());
    let least = if step.ns > 0 { 0.8 } else { 0.0 };
    let width = format!("{:.2}%", (step.ns as f64 / longest as f64 * 100.0).max(least));
    let about = if step.half { "≈ " } else { "" };
    let exact = if step.half {
        "half of the measured travel".to_owned()
    } else {
        format::nanoseconds(step.ns)
    };
    let there = other.cloned().map(|other| {
        let step = step.clone();
        view! { <td class="num soft" data-other="step">{move || other.cell(&step)}</td> }
    });
    view! {
        <tr class=step.colour.class() data-step=step.number.to_string()>
            <td class="num faint step-number">{number}</td>
            <td>{step.words.clone()}</td>
            <td class="step-bar"><span class="stage-bar" style:width=move || width.clone()></span></td>
            <td class="num" title=exact>{format!("{about}{}", format::duration(step.ns))}</td>
            <td class="num faint wide">{format::percent(step.ns as f64, whole as f64)}</td>
            {there}
        </tr>
    }
    .into_any()
}
