//! `Slots`: the elements of the rows that are seen, from top to bottom.
//!
//! Promises: a row that stays in sight keeps its element; those that leave at one end come in at the other, with other
//! words. So scrolling by a row changes one element and not all.

mod slot;

use std::collections::VecDeque;

use leptos::prelude::*;
use web_sys::{Element, HtmlElement};

use self::slot::{Slot, id};
use super::{Chart, ROW};

/// The elements, from top to bottom.
pub struct Slots {
    parent: HtmlElement,
    slots: VecDeque<Slot>,
    /// How many were made: each has a name of its own.
    made: usize,
    /// The place of the first one's row.
    first: u64,
    /// How many rows there are, and which one keys act on, as it was told last.
    told: (u64, Option<usize>),
}

impl Slots {
    pub fn below(parent: HtmlElement) -> Self {
        Self {
            parent,
            slots: VecDeque::new(),
            made: 0,
            first: 0,
            told: (0, None),
        }
    }

    /// Makes as many as are needed, there are never more than rows that fit; what is seen still keeps its elements.
    fn begin_at(&mut self, first: u64, count: usize) {
        let by = first.abs_diff(self.first);
        if by < self.slots.len() as u64 {
            for _ in 0..by {
                if first > self.first {
                    self.first_to_last();
                } else {
                    self.last_to_first();
                }
            }
        }
        self.first = first;
        while self.slots.len() < count {
            let Some(slot) = Slot::new(&self.parent, self.made) else {
                return;
            };
            self.made += 1;
            self.slots.push_back(slot);
        }
        for slot in self.slots.drain(count..) {
            slot.row.remove();
        }
    }

    /// The elements stand in the order of their rows, for who hears them: moving one cannot fail, it has this parent.
    fn first_to_last(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            let _ = self.parent.append_child(&slot.row);
            self.slots.push_back(slot);
        }
    }

    fn last_to_first(&mut self) {
        if let (Some(slot), Some(first)) = (self.slots.pop_back(), self.slots.front()) {
            let _ = self.parent.insert_before(&slot.row, Some(&first.row));
            self.slots.push_front(slot);
        }
    }

    /// Tells how many rows there are in all, and which one keys act on.
    fn tell_whole(&mut self, total: u64, cursor: u64) {
        let active = cursor
            .checked_sub(self.first)
            .and_then(|at| usize::try_from(at).ok());
        let active = active.and_then(|at| self.slots.get(at)).map(|slot| slot.name);
        if self.told == (total, active) {
            return;
        }
        self.told = (total, active);
        set(&self.parent, "aria-rowcount", &total.to_string());
        let active = active.map(id);
        attribute(&self.parent, "aria-activedescendant", active.as_deref());
    }
}

impl Chart {
    /// Tells each slot its row.
    pub(super) fn fill_slots(&mut self, first: u64) {
        let Some(mut dom) = self.dom.take() else { return };
        let seen = (self.height / ROW).ceil() as u64 + 1;
        let count = seen.min(self.windows.total.saturating_sub(first));
        dom.slots.begin_at(first, count as usize);
        let chosen = self.stage.and_then(|stage| stage.chosen.get_untracked());
        for (place, slot) in (first..).zip(&mut dom.slots.slots) {
            slot.stand(place as f64 * ROW - self.offset);
            match self.windows.get(place) {
                Some(told) => {
                    let is_chosen = chosen.is_some_and(|span| told.is(span));
                    slot.tell(place, told, is_chosen, place == self.cursor);
                }
                None => slot.wait(place),
            }
        }
        dom.slots.tell_whole(self.windows.total, self.cursor);
        self.dom = Some(dom);
    }
}

/// Setting an attribute fails only for a name that is none.
fn set(element: &Element, name: &str, value: &str) {
    let _ = element.set_attribute(name, value);
}

fn attribute(element: &Element, name: &str, value: Option<&str>) {
    match value {
        Some(value) => set(element, name, value),
        None => {
            let _ = element.remove_attribute(name);
        }
    }
}
