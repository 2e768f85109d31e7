//! `Tree`: spans → a tree in the order of its rows, with depth, self time and the clocks of nodes aligned. Pure.
//!
//! Promises: every span appears once, below its parent if that is there; spans whose parent is missing, and those in
//! a circle of parents, stand beside the root and are never lost. No recursion: depth is bounded by memory alone.
//!
//! Clocks of nodes differ a little. A span of another node than its parent's that sticks out of its parent is moved
//! into the middle of it, and what the same node recorded below moves along.

use std::collections::HashMap;

/// What a tree needs to know of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) id: u64,
    pub(super) parent: Option<u64>,
    /// Which node's clock it was measured on.
    pub(super) node: i64,
    pub(super) start_ns: u64,
    pub(super) duration_ns: u64,
}

/// A span's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Start after the trace's start, aligned.
    pub(super) offset_ns: u64,
    pub(super) duration_ns: u64,
    /// Levels below the root.
    pub(super) depth: u32,
    /// Duration minus the time that its children cover.
    pub(super) self_ns: u64,
    /// Indices of the spans below it, by start.
    pub(super) children: Vec<usize>,
}

impl Place {
    pub(super) fn end_ns(&self) -> u64 {
        self.offset_ns.saturating_add(self.duration_ns)
    }
}

/// A laid-out trace. Indices are those of the spans as they were given.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) places: Vec<Place>,
    /// Indices, depth first, by start; the root's tree comes first.
    pub(super) order: Vec<usize>,
    /// The first row.
    pub(super) root: Option<usize>,
    /// Spans whose parent is missing, the root apart.
    pub(super) orphans: u32,
}

impl Tree {
    /// Lays the spans out. `root` names the span that stands for the trace.
    pub(super) fn lay_out(bars: &[Bar], root: Option<u64>) -> Self {
        let family = Family::of(bars);
        let root = root
            .and_then(|id| family.by_id.get(&id).copied())
            .map(|at| family.top(at));
        let tops = family.tops(bars, root);
        let mut layout = Layout::new(bars, &family);
        for top in &tops {
            layout.descend(*top);
        }
        // What no top leads to is in a circle of parents: cut each at its earliest span.
        let mut left: Vec<usize> = (0..bars.len()).filter(|at| !layout.seen[*at]).collect();
        left.sort_by_key(|at| (bars[*at].start_ns, bars[*at].id));
        let mut cut = 0;
        for at in left {
            if !layout.seen[at] {
                layout.descend(at);
                cut += 1;
            }
        }
        let root = tops.first().copied().or_else(|| layout.order.first().copied());
        let without_parent = tops
            .iter()
            .filter(|at| Some(**at) != root && bars[**at].parent.is_some())
            .count();
        let orphans = u32::try_from(without_parent + cut).unwrap_or(u32::MAX);
        layout.finish(root, orphans)
    }

    /// At most `max` indices in tree order, chosen level by level from the top, so that each one's parent is there.
    pub(super) fn first(&self, max: usize) -> Vec<usize> {
        if self.order.len() <= max {
            return self.order.clone();
        }
        let mut by_level = self.order.clone();
        by_level.sort_by_key(|at| self.places[*at].depth);
        let mut keep = vec![false; self.places.len()];
        for at in by_level.into_iter().take(max) {
            keep[at] = true;
        }
        self.order.iter().copied().filter(|at| keep[*at]).collect()
    }
}

/// Who is whose parent.
struct Family {
    by_id: HashMap<u64, usize>,
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
}

impl Family {
    fn of(bars: &[Bar]) -> Self {
        let by_id: HashMap<u64, usize> = bars.iter().enumerate().map(|(at, bar)| (bar.id, at)).collect();
        let parents: Vec<Option<usize>> = bars
            .iter()
            .map(|bar| bar.parent.and_then(|parent| by_id.get(&parent).copied()))
            .collect();
        let mut children = vec![Vec::new(); bars.len()];
        for (at, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(at);
            }
        }
        Self {
            by_id,
            parents,
            children,
        }
    }

    /// The highest span above one; itself if it is in a circle.
    fn top(&self, start: usize) -> usize {
        let mut at = start;
        for _ in 0..self.parents.len() {
            match self.parents[at] {
                Some(parent) => at = parent,
                None => return at,
            }
        }
        start
    }

    /// Spans without a parent here, the root first, the others by start.
    fn tops(&self, bars: &[Bar], root: Option<usize>) -> Vec<usize> {
        let mut tops: Vec<usize> = (0..bars.len()).filter(|at| self.parents[*at].is_none()).collect();
        tops.sort_by_key(|at| (Some(*at) != root, bars[*at].start_ns, bars[*at].id));
        tops
    }
}

struct Layout<'a> {
    bars: &'a [Bar],
    family: &'a Family,
    places: Vec<Place>,
    /// Aligned starts; clocks can differ either way, so these can precede the root's.
    starts: Vec<i64>,
    seen: Vec<bool>,
    order: Vec<usize>,
    /// By how much a node's clock was last found to differ.
    shifts: HashMap<i64, i64>,
}

impl<'a> Layout<'a> {
    fn new(bars: &'a [Bar], family: &'a Family) -> Self {
        Self {
            bars,
            family,
            places: vec![Place::default(); bars.len()],
            starts: vec![0; bars.len()],
            seen: vec![false; bars.len()],
            order: Vec::with_capacity(bars.len()),
            shifts: HashMap::new(),
        }
    }

    /// Lays out a span and everything below it.
    fn descend(&mut self, top: usize) {
        let shift = *self.shifts.entry(self.bars[top].node).or_insert(0);
        self.starts[top] = signed(self.bars[top].start_ns).saturating_add(shift);
        self.seen[top] = true;
        let mut waiting = vec![top];
        while let Some(at) = waiting.pop() {
            self.order.push(at);
            let mut children: Vec<usize> = self.family.children[at]
                .iter()
                .copied()
                .filter(|child| !self.seen[*child])
                .collect();
            for child in &children {
                self.seen[*child] = true;
                self.align(*child, at);
                self.places[*child].depth = self.places[at].depth + 1;
            }
            children.sort_by_key(|child| (self.starts[*child], self.bars[*child].id));
            waiting.extend(children.iter().rev());
            self.places[at].self_ns = self.uncovered(at, &children);
            self.places[at].children = children;
        }
    }

    fn align(&mut self, child: usize, parent: usize) {
        let (bar, above) = (self.bars[child], self.bars[parent]);
        let raw = signed(bar.start_ns);
        if bar.node == above.node {
            let shift = self.starts[parent].saturating_sub(signed(above.start_ns));
            self.starts[child] = raw.saturating_add(shift);
            return;
        }
        let known = *self.shifts.entry(bar.node).or_insert(0);
        let start = raw.saturating_add(known);
        let sticks_out = start < self.starts[parent]
            || start.saturating_add(signed(bar.duration_ns))
                > self.starts[parent].saturating_add(signed(above.duration_ns));
        if !sticks_out {
            self.starts[child] = start;
            return;
        }
        // One that is longer than its parent (which gave up waiting) begins with it.
        let before = above.duration_ns.saturating_sub(bar.duration_ns) / 2;
        self.starts[child] = self.starts[parent].saturating_add(signed(before));
        self.shifts
            .insert(bar.node, self.starts[child].saturating_sub(raw));
    }

    /// How much of a span none of its children, which are ordered by start, covers.
    fn uncovered(&self, at: usize, children: &[usize]) -> u64 {
        let start = self.starts[at];
        let end = start.saturating_add(signed(self.bars[at].duration_ns));
        let mut covered_to = start;
        let mut uncovered = 0;
        for child in children {
            let from = self.starts[*child].clamp(start, end);
            let to = self.starts[*child]
                .saturating_add(signed(self.bars[*child].duration_ns))
                .clamp(start, end);
            uncovered += (from - covered_to).max(0);
            covered_to = covered_to.max(to);
        }
        (uncovered + (end - covered_to)).unsigned_abs()
    }

    fn finish(mut self, root: Option<usize>, orphans: u32) -> Tree {
        let zero = self.starts.iter().copied().min().unwrap_or(0);
        for (at, place) in self.places.iter_mut().enumerate() {
            place.offset_ns = self.starts[at].saturating_sub(zero).unsigned_abs();
            place.duration_ns = self.bars[at].duration_ns;
        }
        Tree {
            places: self.places,
            order: self.order,
            root,
            orphans,
        }
    }
}

/// Times since the epoch fit for three centuries; anything longer is cut.
fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) mod tests;
