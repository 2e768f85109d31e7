//! The sequence view: who calls whom, as in a textbook. Lifelines by handler, those of a node side by side; calls
//! numbered from top to bottom.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::rows::Rows;

use super::chart::class;
use super::stage::Stage;
use crate::app::api;
use crate::app::live::Remote;
use crate::format;
use crate::route::with_query;
use crate::waterfall::sequence::{Message, Sequence, sequence};
use crate::waterfall::windows::Windows;

/// Calls that are drawn: what a person follows.
const CALLS_MAX: usize = 48;
/// Lifelines' distance: as far as is good to read, and as near as the names allow.
const LINE: f64 = 148.0;
const LINE_MIN: f64 = 108.0;
/// The width that lifelines share, while they are not too near.
const WIDTH: f64 = 1_100.0;
/// A drawing that is too wide is drawn smaller, and scrolls where that would be too small to read.
const SCALE_MIN: f64 = 0.7;
/// The height of a message, in units of the drawing.
const STEP: f64 = 27.0;
const TOP: f64 = 62.0;

/// A drawing with what it leaves out.
type Drawing = (Sequence, Vec<protocol::SpanId>, u64);

/// The view.
pub fn view(stage: Stage) -> AnyView {
    let drawing: RwSignal<Remote<Drawing>> = RwSignal::new(Remote::Loading);
    let path = Memo::new(move |_| {
        let mut parameters = stage.view.with(|view| view.folds());
        parameters.push(("count", (CALLS_MAX + 12).to_string()));
        with_query(&format!("traces/{}/rows", stage.id), &parameters)
    });
    Effect::new(move |_| {
        let path = path.get();
        spawn_local(async move {
            let answer = api::get::<Rows>(&path).await.map(draw);
            drawing.try_update(|drawing| {
                *drawing = match answer {
                    Ok(drawn) => Remote::Ready(drawn),
                    Err(problem) => Remote::Failed(problem),
                }
            });
        });
    });
    (move || {
        drawing.with(|drawing| match drawing {
            Remote::Loading => view! { <div class="sequence-wait"></div> }.into_any(),
            Remote::Failed(problem) => view! { <p class="trouble">{problem.title.clone()}</p> }.into_any(),
            Remote::Ready((drawn, spans, more)) => picture(stage, drawn, spans, *more),
        })
    })
    .into_any()
}

fn draw(answer: Rows) -> Drawing {
    let (total, spans) = (answer.total, answer.rows.iter().map(|row| row.key.span).collect());
    let mut windows = Windows::default();
    windows.put(0, answer);
    let drawn = sequence(windows.all(), CALLS_MAX);
    let calls = drawn.messages.iter().filter(|message| !message.reply).count() as u64;
    (drawn, spans, total.saturating_sub(calls + 1))
}

fn picture(stage: Stage, drawn: &Sequence, spans: &[protocol::SpanId], more: u64) -> AnyView {
    let distance = (WIDTH / drawn.lifelines.len().max(1) as f64).clamp(LINE_MIN, LINE);
    let width = drawn.lifelines.len() as f64 * distance + 20.0;
    let height = TOP + drawn.messages.len() as f64 * STEP + 26.0;
    let x = |line: usize| 10.0 + (line as f64 + 0.5) * distance;
    let lines: Vec<_> = drawn
        .lifelines
        .iter()
        .enumerate()
        .map(|(at, line)| {
            let hue = class(&line.handler);
            view! {
                <g class=hue>
                    <line class="seq-line" x1=x(at) x2=x(at) y1="52" y2=height - 12.0></line>
                    <rect class="seq-head" x=x(at) - distance / 2.0 + 6.0 y="20" width=distance - 12.0 height="30" rx="7"></rect>
                    <text class="seq-name" x=x(at) y="40" text-anchor="middle">{line.handler.clone()}</text>
                    <text class="seq-node" x=x(at) y="13" text-anchor="middle">{line.node.clone()}</text>
                </g>
            }
        })
        .collect();
    let messages: Vec<_> = drawn
        .messages
        .iter()
        .enumerate()
        .map(|(at, message)| {
            arrow(
                stage,
                message,
                spans,
                (x(message.from), x(message.to)),
                TOP + at as f64 * STEP + 12.0,
            )
        })
        .collect();
    let rest = (more > 0).then(|| {
        view! { <p class="small soft seq-more">{format!("… {} more. Select a call and press “Only this call” to see what is below it.", format::plural(more, "call", "calls"))}</p> }
    });
    view! {
        <div class="sequence" tabindex="0" role="region" aria-label="Sequence of calls">
            <svg class="seq" viewBox=format!("0 0 {width:.0} {height:.0}") width=width height=height style:min-width=format!("{:.0}px", width * SCALE_MIN) role="group" aria-label="Calls between handlers, from top to bottom">
                {lines}
                {messages}
            </svg>
            {rest}
        </div>
    }
    .into_any()
}

fn arrow(
    stage: Stage,
    message: &Message,
    spans: &[protocol::SpanId],
    (from, to): (f64, f64),
    y: f64,
) -> AnyView {
    let span = spans.get(message.row as usize).copied();
    let mut classes = "seq-call".to_owned();
    for (name, is_so) in [
        ("seq-reply", message.reply),
        ("seq-crosses", message.crosses),
        ("seq-queued", message.queued),
        ("seq-failed", message.failed),
    ] {
        if is_so {
            classes.push(' ');
            classes.push_str(name);
        }
    }
    let own = (from - to).abs() < 1.0;
    let path = if own {
        format!("M{from:.1} {:.1} h26 v12 h-22", y - 6.0)
    } else {
        format!("M{from:.1} {y:.1} H{to:.1}")
    };
    let (tip_x, tip_y, back) = if own {
        (from + 4.0, y + 6.0, 7.0)
    } else {
        (to, y, if to > from { -7.0 } else { 7.0 })
    };
    let tip = format!(
        "M{:.1} {:.1} L{tip_x:.1} {tip_y:.1} L{:.1} {:.1}",
        tip_x + back,
        tip_y - 4.0,
        tip_x + back,
        tip_y + 4.0
    );
    let words: String = message.words.chars().take(30).collect();
    let text = if message.reply {
        words
    } else {
        format!("{}  {words}", message.number)
    };
    let middle = if own { from + 32.0 } else { (from + to) / 2.0 };
    let anchor = if own { "start" } else { "middle" };
    let at = format::duration(message.at);
    let title = match message.reply {
        true => format!("reply to {}, after {}", message.number, message.words),
        false => format!("{}. {}, at {at}", message.number, message.words),
    };
    let is_chosen = move || span.is_some() && stage.chosen.get() == span;
    let act = move |_| {
        if let Some(span) = span {
            stage.select(span);
        }
    };
    view! {
        <g class=classes class:chosen=is_chosen on:click=act>
            <title>{title}</title>
            <path class="seq-arrow" d=path></path>
            <path class="seq-tip" d=tip></path>
            <text class="seq-words" x=middle y=y - if own { -3.0 } else { 5.0 } text-anchor=anchor>{text}</text>
        </g>
    }
    .into_any()
}
