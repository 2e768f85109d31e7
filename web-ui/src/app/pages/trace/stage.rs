//! `Stage`: what the parts of a trace's page share: the trace as a whole, what is seen of it, and its rows.
//!
//! Promises: what is seen stands in the address, a moment after it changed at most; spans are in no signal.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;
use protocol::api::rows::TraceHead;
use protocol::{SpanId, TraceId};

use super::chart::Chart;
use crate::app::live::Remote;
use crate::app::navigation::{Navigation, navigation};
use crate::route::{Route, TraceView};

/// Browsers refuse more than some changes of the address a second.
const WRITE_AFTER: Duration = Duration::from_millis(250);

/// A cheap handle.
#[derive(Clone, Copy)]
pub struct Stage {
    /// The trace.
    pub id: TraceId,
    /// The trace as a whole.
    pub head: RwSignal<Remote<Arc<TraceHead>>>,
    /// Whether it was deleted since it was read.
    pub gone: RwSignal<bool>,
    /// What is seen of it.
    pub view: RwSignal<TraceView>,
    /// The selected span: what the address names, else what the page begins with.
    pub chosen: Memo<Option<SpanId>>,
    chart: StoredValue<Rc<RefCell<Chart>>, LocalStorage>,
    navigation: Navigation,
    /// Counts changes, so that only the last of several is written.
    changes: StoredValue<u32>,
}

impl Stage {
    /// Of a trace, as the address says.
    pub fn new(id: TraceId) -> Self {
        let navigation = navigation();
        let named = move || match navigation.route.get() {
            Route::Trace(_, Some(view)) => *view,
            _ => TraceView::default(),
        };
        let head: RwSignal<Remote<Arc<TraceHead>>> = RwSignal::new(Remote::Loading);
        let view = RwSignal::new(untrack(named));
        let telling = Memo::new(move |_| head.with(|head| head.ready().and_then(|head| head.telling)));
        let chosen = Memo::new(move |_| view.with(|view| view.span).or_else(|| telling.get()));
        let stage = Self {
            id,
            head,
            gone: RwSignal::new(false),
            view,
            chosen,
            chart: StoredValue::new_local(Rc::new(RefCell::new(Chart::default()))),
            navigation,
            changes: StoredValue::new(0),
        };
        // The browser's own buttons, and links to another span of this trace.
        Effect::new(move |before: Option<()>| {
            let named = named();
            if before.is_some() && view.with_untracked(|view| *view != named) {
                view.set(named);
                stage.with_chart(Chart::follow);
            }
        });
        stage
    }

    /// Changes what is seen.
    pub fn edit(self, change: impl FnOnce(&mut TraceView)) {
        self.view.update(change);
        self.write();
    }

    /// Changes what is seen, again and again: only the last is written.
    pub fn edit_often(self, change: impl FnOnce(&mut TraceView)) {
        self.view.update(change);
        self.changes.update_value(|count| *count += 1);
        let now = self.changes.get_value();
        set_timeout(
            move || {
                if self.changes.try_get_value() == Some(now) {
                    self.write();
                }
            },
            WRITE_AFTER,
        );
    }

    /// Selects a span.
    pub fn select(self, span: SpanId) {
        self.edit(|view| view.span = Some(span));
        self.with_chart(Chart::schedule);
    }

    fn write(self) {
        let view = self.view.get_untracked();
        let view = (view != TraceView::default()).then(|| Box::new(view));
        let route = Route::Trace(self.id, view);
        // Told to all, so that going back and forth compares with what is seen now.
        self.navigation.replace(&route);
    }

    /// Does something with the rows; nothing once the page is gone, or while they are being looked at.
    pub fn with_chart<T>(self, act: impl FnOnce(&mut Chart) -> T) -> Option<T> {
        let chart = self.chart.try_get_value()?;
        let mut chart = chart.try_borrow_mut().ok()?;
        Some(act(&mut chart))
    }
}
