//! Dragging a handler's box: from the pointer going down to what letting go does.
//!
//! Promises: a finger scrolls and never drags; a click stays a click; the past cannot be moved.

use leptos::ev::PointerEvent;
use leptos::prelude::*;
use protocol::HandlerName;
use wasm_bindgen::JsCast;

use super::super::View;
use super::super::plan::{self, Drag};
use crate::map::dropped;

/// A pointer that has moved less than this is a click.
const DRAG_FROM: f64 = 6.0;

/// The pointer on a handler's box.
#[derive(Clone, Copy)]
pub struct Dragging {
    view: View,
    name: StoredValue<HandlerName>,
}

impl Dragging {
    /// For one box.
    pub fn new(view: View, name: HandlerName) -> Self {
        Self {
            view,
            name: StoredValue::new(name),
        }
    }

    pub fn begin(self, event: &PointerEvent) {
        // A finger scrolls; the past is as it is.
        let plain = event.button() == 0 && event.pointer_type() != "touch";
        if !plain || self.view.at.get_untracked().is_some() {
            return;
        }
        if let Some(target) = event
            .current_target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
        {
            // Without it the drag ends where the pointer leaves the box.
            let _ = target.set_pointer_capture(event.pointer_id());
        }
        self.view.plan.drag.set(Some(Drag {
            handler: self.name.get_value(),
            from: (f64::from(event.client_x()), f64::from(event.client_y())),
            by: (0.0, 0.0),
            change: None,
            moved: false,
        }));
    }

    pub fn go(self, event: &PointerEvent) {
        let at = (f64::from(event.client_x()), f64::from(event.client_y()));
        let Some(frame) = event
            .current_target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
            .and_then(|target| target.parent_element())
        else {
            return;
        };
        if self.view.plan.drag.with_untracked(Option::is_none) {
            return;
        }
        let corner = frame.get_bounding_client_rect();
        let point = (at.0 - corner.left(), at.1 - corner.top());
        let name = self.name.get_value();
        let change = self
            .view
            .picture
            .with_untracked(|picture| dropped(picture.ready()?, &name, point));
        self.view.plan.drag.update(|drag| {
            let Some(drag) = drag else { return };
            drag.by = (at.0 - drag.from.0, at.1 - drag.from.1);
            drag.moved |= drag.by.0.hypot(drag.by.1) >= DRAG_FROM;
            drag.change = change.filter(|_| drag.moved);
        });
    }

    /// Lets go. What was moved stays known until the click that follows is over.
    pub fn end(self) {
        let Some(drag) = self.view.plan.drag.get_untracked() else {
            return;
        };
        if !drag.moved {
            self.view.plan.drag.set(None);
            return;
        }
        if let Some(change) = drag.change {
            plan::go(self.view, change);
        }
        let view = self.view;
        set_timeout(move || view.plan.drag.set(None), std::time::Duration::ZERO);
    }

    /// The click that ends a drag opens nothing.
    pub fn click(self, event: &web_sys::MouseEvent) {
        if self
            .view
            .plan
            .drag
            .with_untracked(|drag| drag.as_ref().is_some_and(|drag| drag.moved))
        {
            event.prevent_default();
        }
    }
}
