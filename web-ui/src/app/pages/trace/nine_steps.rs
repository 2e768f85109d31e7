//! The nine steps of a call: the picture with two lanes, and the table.

use leptos::prelude::*;

use crate::format;
use crate::steps::{Step, lanes, total};

const WIDTH: f64 = 560.0;
const LEFT: f64 = 8.0;
const TOP_LANE: f64 = 34.0;
const BOTTOM_LANE: f64 = 104.0;
const BAR: f64 = 16.0;

/// Caller above, callee below, time from left to right.
pub fn picture(steps: &[Step], caller: &str, callee: &str) -> AnyView {
    let room = WIDTH - 2.0 * LEFT;
    let shapes: Vec<_> = steps
        .iter()
        .zip(lanes(steps))
        .map(|(step, (left, width))| shape(step, LEFT + left * room, width * room))
        .collect();
    view! {
        <div class="lanes-frame"><svg class="lanes" viewBox="0 0 560 132" role="img" aria-label="The nine steps in time, the caller above, the callee below">
            <text class="lane-name" x="280" y="26" text-anchor="middle">{caller.to_owned()}</text>
            <text class="lane-name" x="280" y="128" text-anchor="middle">{callee.to_owned()}</text>
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
        let text = format!("{:.1}", left + width / 2.0 + if down { 9.0 } else { -9.0 });
        return view! {
            <g class=class>
                <title>{title}</title>
                <path class="lane-travel" d=path></path>
                <text class="lane-number" x=text y="73" text-anchor="middle">{number}</text>
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

/// The steps with their times.
pub fn table(steps: &[Step]) -> AnyView {
    let longest = steps.iter().map(|step| step.ns).max().unwrap_or(1).max(1) as f64;
    let whole = total(steps);
    let mut last = 0;
    let rows: Vec<_> = steps
        .iter()
        .map(|step| {
            let number = (step.number != last).then(|| step.number.to_string());
            last = step.number;
            let width = format!("{:.2}%", (step.ns as f64 / longest * 100.0).max(if step.ns > 0 { 0.8 } else { 0.0 }));
            let about = if step.half { "≈ " } else { "" };
            let exact = if step.half { "half of the measured travel".to_owned() } else { format::nanoseconds(step.ns) };
            view! {
                <tr class=step.colour.class() data-step=step.number.to_string()>
                    <td class="num faint step-number">{number}</td>
                    <td>{step.words.clone()}</td>
                    <td class="step-bar"><span class="stage-bar" style:width=move || width.clone()></span></td>
                    <td class="num" title=exact>{format!("{about}{}", format::duration(step.ns))}</td>
                    <td class="num faint wide">{format::percent(step.ns as f64, whole as f64)}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <table class="steps">
            <thead>
                <tr><th></th><th>"step"</th><th></th><th class="num">"this call"</th><th class="num wide">"share"</th></tr>
            </thead>
            <tbody>{rows}</tbody>
            <tfoot>
                <tr>
                    <td></td>
                    <td>"the whole call"</td>
                    <td></td>
                    <td class="num" title=format::nanoseconds(whole)>{format::duration(whole)}</td>
                    <td class="wide"></td>
                </tr>
            </tfoot>
        </table>
    }
    .into_any()
}
