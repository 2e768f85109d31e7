//! The map and the counts of a search: read with it, and again while traces come.
//!
//! Promises: a picture is read again at most every two seconds, and never takes more than a tenth of the time; while the
//! list is paused the pictures stand still with it.

use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::facets::Facets;
use protocol::api::heat::Heat;
use protocol::api::traces::TraceSummary;

use super::Traces;
use crate::app::api;
use crate::app::live::live;
use crate::filters::{Fit, fits, settle};
use crate::route::{trace_parameters, with_query};

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_millis(500);
/// The least time between two readings, and how many times as long as the last one took.
const REST_MS: f64 = 2_000.0;
const SHARE: f64 = 10.0;
/// A column's width, in px, and how much of the window is not the map.
const COLUMN: f64 = 9.0;
const AROUND: f64 = 330.0;
/// The page grows no wider with the window from here on.
const WIDEST: f64 = 1_876.0;
const ROWS: u32 = 20;

/// What is due when.
#[derive(Clone, Copy)]
pub struct Pictures {
    traces: Traces,
    is_stale: StoredValue<bool>,
    due_ms: StoredValue<f64>,
    turn: StoredValue<u32>,
}

/// Reads the pictures whenever something else is searched for, or more has come.
pub fn follow(traces: Traces) -> Pictures {
    let pictures = Pictures {
        traces,
        is_stale: StoredValue::new(false),
        due_ms: StoredValue::new(0.0),
        turn: StoredValue::new(0),
    };
    Effect::new(move |_| {
        traces.query.track();
        live().recoveries.track();
        pictures.read(false);
    });
    if let Ok(ticks) = set_interval_with_handle(move || pictures.look(), LOOK) {
        on_cleanup(move || ticks.clear());
    }
    pictures
}

impl Pictures {
    /// Some traces ended.
    pub fn note(self, fresh: &[TraceSummary]) {
        let query = self.traces.query.get_untracked();
        if fresh.iter().any(|trace| fits(&query, trace) != Fit::No) {
            self.is_stale.set_value(true);
        }
    }

    fn look(self) {
        let rests = js_sys::Date::now() < self.due_ms.get_value() || document().hidden();
        if self.is_stale.get_value() && !rests && self.traces.paused.get_untracked().is_none() {
            self.read(true);
        }
    }

    /// Reads both; `is_same` tells that the search is the one of the pictures that are there.
    fn read(self, is_same: bool) {
        let query = self.traces.query.get_untracked();
        let parameters = trace_parameters(&query);
        self.turn.update_value(|turn| *turn = turn.wrapping_add(1));
        let turn = self.turn.get_value();
        self.is_stale.set_value(false);
        self.due_ms.set_value(f64::INFINITY);
        let began = js_sys::Date::now();
        let facets = with_query("facets", &parameters);
        let mut sized = parameters;
        sized.push(("columns", columns().to_string()));
        sized.push(("rows", ROWS.to_string()));
        let heat = with_query("heat", &sized);
        spawn_local(async move {
            let heat = api::get::<Heat>(&heat).await;
            let facets = api::get::<Facets>(&facets).await;
            if self.turn.try_get_value() != Some(turn) {
                return;
            }
            // What cannot be had now is asked for again; meanwhile the last one is better than none.
            if let Ok(heat) = heat {
                self.traces.heat.set(Some(Arc::new(heat)));
            }
            if let Ok(mut facets) = facets {
                if let Some(before) = self.traces.facets.get_untracked().filter(|_| is_same) {
                    settle(&before, &mut facets);
                }
                self.traces.facets.set(Some(Arc::new(facets)));
            }
            self.traces.pictured.set(Some(query));
            let now = js_sys::Date::now();
            self.due_ms.set_value(now + REST_MS.max((now - began) * SHARE));
        });
    }
}

/// As many columns as there is room for.
fn columns() -> u32 {
    let width = window()
        .inner_width()
        .ok()
        .and_then(|width| width.as_f64())
        .unwrap_or(1_280.0);
    let around = if width < 721.0 { 92.0 } else { AROUND };
    ((width.min(WIDEST) - around) / COLUMN).clamp(24.0, 160.0) as u32
}
