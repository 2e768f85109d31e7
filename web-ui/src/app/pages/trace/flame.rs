//! The flame view: levels in time, each call as wide as it is long; who is called stands below who calls.
//!
//! The server paints it for the part of the time that is seen, so a million calls are a screen's worth of bars.

use std::time::Duration;

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::SpanId;
use protocol::api::rows::{Overview, Run};
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, MouseEvent, WheelEvent};

use super::chart::{CHAR, Colours, Face, Pen};
use super::stage::Stage;
use crate::app::api;
use crate::app::live::live;
use crate::format;
use crate::palette::letters_on;
use crate::route::with_query;
use crate::waterfall::Zoom;
use crate::waterfall::ticks::{mark, ticks};

const LEVEL: f64 = 24.0;
const AXIS: f64 = 26.0;
const COLUMNS: u32 = 256;
/// How long what is seen must have rested before it is asked for.
const REST: Duration = Duration::from_millis(60);

/// What is drawn, and for which part of the time.
type Drawn = StoredValue<Option<Overview>>;

/// The view.
pub fn view(stage: Stage) -> AnyView {
    let canvas = NodeRef::<html::Canvas>::new();
    let drawn: Drawn = StoredValue::new(None);
    let tip = RwSignal::new(String::new());
    let height = RwSignal::new(AXIS + LEVEL * 8.0);
    let paint = move || paint(stage, drawn, canvas);
    follow(stage, move |answer| {
        height.set(AXIS + LEVEL * answer.levels.len() as f64 + 6.0);
        drawn.set_value(Some(answer));
        request_animation_frame(paint);
    });
    Effect::new(move |_| {
        stage.chosen.track();
        live().palette.track();
        stage.view.track();
        request_animation_frame(paint);
    });
    let again = [
        window_event_listener_untyped("resize", move |_| request_animation_frame(paint)),
        window_event_listener_untyped("themechange", move |_| request_animation_frame(paint)),
    ];
    on_cleanup(move || again.into_iter().for_each(|listener| listener.remove()));
    let find = move |event: &MouseEvent| find(stage, drawn, canvas, event);
    let point = move |event: web_sys::PointerEvent| {
        let words = find(&event)
            .map(|(run, words)| words_of(&run, &words))
            .unwrap_or_default();
        if tip.with_untracked(|tip| *tip != words) {
            tip.set(words);
        }
    };
    let press = move |event: MouseEvent| {
        if let Some((run, _)) = find(&event)
            && let Some(span) = run.span
        {
            stage.select(span);
        }
    };
    let onto = move |event: MouseEvent| {
        if let Some((start, end)) = find(&event).and_then(|(run, _)| run.outer) {
            stage.with_chart(|chart| chart.see(start, end));
        }
    };
    let wheel = move |event: WheelEvent| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            event.prevent_default();
            let by = (event.delta_y() * 0.002).clamp(-0.6, 0.6).exp();
            stage.with_chart(|chart| chart.zoom_by(by));
        }
    };
    view! {
        <div class="flame">
            <canvas
                class="flame-canvas"
                node_ref=canvas
                role="img"
                aria-label="Levels in time; the waterfall tells the same calls row by row"
                style:height=move || format!("{:.0}px", height.get())
                on:pointermove=point
                on:pointerleave=move |_| tip.set(String::new())
                on:click=press
                on:dblclick=onto
                on:wheel=wheel
            ></canvas>
            <p class="flame-words small soft num-left" role="status">
                {move || if tip.with(String::is_empty) { "Point at a call to read it, click to select it, double-click to fill the width with it.".to_owned() } else { tip.get() }}
            </p>
        </div>
    }
    .into_any()
}

/// Asks for the bars of what is seen, whenever that has rested for a moment; only the last answer is taken.
fn follow(stage: Stage, take: impl Fn(Overview) + Copy + 'static) {
    let asked = StoredValue::new(0_u32);
    let ask = Memo::new(move |_| {
        let mut parameters = vec![("columns", COLUMNS.to_string()), ("names", "true".to_owned())];
        stage.view.with(|view| {
            if let Some((from, to)) = view.zoom {
                parameters.push(("from", from.to_string()));
                parameters.push(("to", to.to_string()));
            }
            parameters.extend(view.focus.map(|focus| ("focus", focus.to_string())));
        });
        with_query(&format!("traces/{}/overview", stage.id), &parameters)
    });
    Effect::new(move |_| {
        let path = ask.get();
        asked.update_value(|asked| *asked += 1);
        let now = asked.get_value();
        let is_last = move || asked.try_get_value() == Some(now);
        let read = move || {
            if !is_last() {
                return;
            }
            spawn_local(async move {
                let answer = api::get::<Overview>(&path).await;
                if let Some(answer) = answer.ok().filter(|_| is_last()) {
                    take(answer);
                }
            });
        };
        set_timeout(read, REST);
    });
}

fn words_of(run: &Run, words: &[String]) -> String {
    let word = |at: u32| words.get(at as usize).map_or("", String::as_str);
    let mut text = format!("{} {}", word(run.handler), run.label.map_or("", word));
    if let Some((start, end)) = run.outer {
        text.push_str(&format!(" · {}", format::duration(end.saturating_sub(start))));
    }
    if run.calls > 1 {
        text.push_str(&format!(
            " · the longest of {} calls here",
            format::count(run.calls.into())
        ));
    }
    if run.failed > 0 {
        text.push_str(&format!(" · {} failed", format::count(run.failed.into())));
    }
    text
}

/// Left and width of a run, as shares of the width: a call alone stands where it is, several in their columns.
fn place(run: &Run, drawn: &Overview, zoom: Zoom) -> (f64, f64) {
    let span = (drawn.to - drawn.from) as f64 / f64::from(drawn.columns.max(1));
    let (from, to) = match run.outer {
        Some((start, end)) if run.calls == 1 => (start as f64, end as f64),
        _ => {
            let from = drawn.from as f64 + f64::from(run.at) * span;
            (from, from + f64::from(run.len) * span)
        }
    };
    ((from - zoom.from) / zoom.span(), (to - from) / zoom.span())
}

fn find(
    stage: Stage,
    drawn: Drawn,
    canvas: NodeRef<html::Canvas>,
    event: &MouseEvent,
) -> Option<(Run, Vec<String>)> {
    let frame = canvas.get_untracked()?.get_bounding_client_rect();
    let x = (f64::from(event.client_x()) - frame.left()) / frame.width().max(1.0);
    let y = f64::from(event.client_y()) - frame.top() - AXIS;
    let zoom = stage.with_chart(|chart| chart.zoom)?;
    drawn.with_value(|drawn| {
        let drawn = drawn.as_ref()?;
        let level = drawn.levels.get((y >= 0.0).then_some((y / LEVEL) as usize)?)?;
        let hit = level.iter().find(|run| {
            let (left, width) = place(run, drawn, zoom);
            x >= left && x <= left + width
        })?;
        Some((hit.clone(), drawn.words.clone()))
    })
}

fn paint(stage: Stage, drawn: Drawn, canvas: NodeRef<html::Canvas>) {
    let Some(Some(canvas)) = canvas.try_get_untracked() else {
        return;
    };
    let Some(within) = canvas
        .parent_element()
        .and_then(|parent| parent.dyn_into::<HtmlElement>().ok())
    else {
        return;
    };
    let Some(zoom) = stage.with_chart(|chart| chart.zoom) else {
        return;
    };
    let mut colours = super::chart::colours(&within);
    let chosen = stage.chosen.get_untracked();
    let size = (
        f64::from(canvas.client_width()),
        f64::from(canvas.client_height()),
    );
    let Some(pen) = Pen::on(&canvas, size.0.max(1.0), size.1.max(1.0)) else {
        return;
    };
    axis(&pen, &colours, zoom);
    drawn.with_value(|drawn| {
        let Some(drawn) = drawn else { return };
        for (level, runs) in drawn.levels.iter().enumerate() {
            let y = AXIS + level as f64 * LEVEL;
            for run in runs {
                bar(
                    &pen,
                    &mut colours,
                    (drawn, run),
                    place(run, drawn, zoom),
                    (y, chosen),
                );
            }
        }
    });
}

/// The marks of the time, over the whole height.
fn axis(pen: &Pen, colours: &Colours, zoom: Zoom) {
    let marks = ticks(zoom.from, zoom.to, (pen.width / 110.0) as usize + 1);
    let between = marks
        .windows(2)
        .next()
        .map_or_else(|| zoom.span(), |two| two[1] - two[0]);
    for ns in marks {
        let x = (ns - zoom.from) / zoom.span() * pen.width;
        pen.fill(&colours.hair);
        pen.rect(x, AXIS, 1.0, pen.height);
        pen.fill(&colours.soft);
        let text = mark(ns, zoom.to, between);
        let half = text.chars().count() as f64 * CHAR / 2.0;
        pen.text(
            &text,
            (x - half).clamp(4.0, (pen.width - half * 2.0).max(4.0)),
            AXIS / 2.0,
            Face::Small,
        );
    }
}

/// One call, or several that stand too close to be told apart.
fn bar(
    pen: &Pen,
    colours: &mut Colours,
    (drawn, run): (&Overview, &Run),
    (left, width): (f64, f64),
    (y, chosen): (f64, Option<SpanId>),
) {
    let (x, width) = (left * pen.width, (width * pen.width).max(1.0));
    if x > pen.width || x + width < 0.0 {
        return;
    }
    let word = |at: u32| drawn.words.get(at as usize).map_or("", String::as_str);
    let hue = colours.of(word(run.handler)).to_owned();
    let fill = if run.failed > 0 { &colours.bad } else { &hue };
    let opacity = if run.calls > 1 { 0.62 } else { 1.0 };
    pen.fill(fill);
    pen.alpha(opacity);
    pen.bar(x, y, (width - 1.0).max(1.0), LEVEL - 2.0, 3.0);
    pen.alpha(1.0);
    if run.span.is_some() && run.span == chosen {
        pen.ring(x + 2.0, y + 2.0, width - 5.0, LEVEL - 6.0, &colours.ink);
    }
    let (left, right) = (x.max(0.0), (x + width).min(pen.width));
    let room = ((right - left - 10.0) / CHAR).max(0.0) as usize;
    if room >= 4 {
        let text = format!("{} {}", word(run.handler), run.label.map_or("", word));
        let text: String = text.chars().take(room).collect();
        pen.fill(letters_on(fill, opacity, &colours.surface));
        pen.text(&text, left + 5.0, y + LEVEL / 2.0 - 1.0, Face::Bold);
    }
}
