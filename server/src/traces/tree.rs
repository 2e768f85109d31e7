//! `Tree`: spans → a tree in the order of its rows, with depth, self time and the clocks of nodes aligned. Pure.
//!
//! Promises: every span appears once, below its parent if that is there; spans whose parent is missing, and those in
//! a circle of parents, stand beside the root and are never lost. No recursion: depth is bounded by memory alone. Flat
//! columns, so that a million spans are laid out in a fraction of a second.
//!
//! Clocks of nodes differ a little. A span of another node than its parent's that sticks out of its parent is moved
//! into the middle of it, and what the same node recorded below moves along.

mod ids;

pub(super) use self::ids::Ids;
use super::skeleton::{NONE, Skeleton};

/// What a tree needs to know of spans; the same index is the same span in each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bars<'a> {
    pub(super) id: &'a [u64],
    /// 0: none.
    pub(super) parent: &'a [u64],
    /// Which node's clock it was measured on.
    pub(super) node: &'a [u32],
    pub(super) start_ns: &'a [u64],
    pub(super) duration_ns: &'a [u64],
}

impl<'a> From<&'a Skeleton> for Bars<'a> {
    fn from(skeleton: &'a Skeleton) -> Self {
        Self {
            id: &skeleton.id,
            parent: &skeleton.parent,
            node: &skeleton.node,
            start_ns: &skeleton.start_ns,
            duration_ns: &skeleton.duration_ns,
        }
    }
}

/// A laid-out trace. Indices are those of the spans as they were given.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Start after the trace's start, aligned.
    pub(super) offset_ns: Vec<u64>,
    pub(super) duration_ns: Vec<u64>,
    /// Levels below the root.
    pub(super) depth: Vec<u32>,
    /// Duration minus the time that its children cover.
    pub(super) self_ns: Vec<u64>,
    /// The span above; [`NONE`] at the top.
    pub(super) parent: Vec<u32>,
    /// Indices, depth first, by start; the root's tree comes first.
    pub(super) order: Vec<u32>,
    /// The first row.
    pub(super) root: Option<usize>,
    /// Spans whose parent is missing, the root apart.
    pub(super) orphans: u32,
    children: Children,
}

/// The spans below each span: where they begin in one list, and how many.
#[derive(Debug, Default)]
struct Children {
    first: Vec<u32>,
    count: Vec<u32>,
    list: Vec<u32>,
}

impl Children {
    fn of(&self, at: usize) -> &[u32] {
        let first = self.first[at] as usize;
        &self.list[first..first + self.count[at] as usize]
    }
}

impl Tree {
    /// Lays the spans out. `root` names the span that stands for the trace.
    pub(super) fn lay_out(bars: Bars<'_>, root: Option<u64>) -> Self {
        let ids = Ids::of(bars.id);
        let above: Vec<u32> = bars
            .parent
            .iter()
            .map(|parent| ids.find(bars.id, *parent))
            .collect();
        let root = root
            .map(|id| ids.find(bars.id, id))
            .filter(|at| *at != NONE)
            .map(|at| top(&above, at));
        let tops = tops(bars, &above, root);
        let mut layout = Layout::new(bars, &above);
        for at in &tops {
            layout.descend(*at);
        }
        // What no top leads to is in a circle of parents: cut each at its earliest span.
        let mut left: Vec<u32> = indices(bars.id.len())
            .filter(|at| !layout.seen[*at as usize])
            .collect();
        left.sort_by_key(|at| (bars.start_ns[*at as usize], bars.id[*at as usize]));
        // Where there is no top, the first that is cut is the root.
        let mut cut = 0;
        let mut is_root = tops.is_empty();
        for at in left {
            if !layout.seen[at as usize] {
                layout.descend(at);
                cut += usize::from(!std::mem::take(&mut is_root));
            }
        }
        let mut tree = layout.finish();
        tree.root = tops.first().or_else(|| tree.order.first()).map(|at| *at as usize);
        let without_parent = tops
            .iter()
            .filter(|at| Some(**at as usize) != tree.root && bars.parent[**at as usize] != 0)
            .count();
        tree.orphans = u32::try_from(without_parent + cut).unwrap_or(u32::MAX);
        tree
    }

    /// The spans below one, by start.
    pub(super) fn children(&self, at: usize) -> &[u32] {
        self.children.of(at)
    }

    pub(super) fn end_ns(&self, at: usize) -> u64 {
        self.offset_ns[at].saturating_add(self.duration_ns[at])
    }

    /// At most `max` indices in tree order, chosen level by level from the top, so that each one's parent is there.
    pub(super) fn first(&self, max: usize) -> Vec<u32> {
        if self.order.len() <= max {
            return self.order.clone();
        }
        let mut by_level = self.order.clone();
        by_level.sort_by_key(|at| self.depth[*at as usize]);
        let mut keep = vec![false; self.depth.len()];
        for at in by_level.into_iter().take(max) {
            keep[at as usize] = true;
        }
        let kept = self.order.iter().copied().filter(|at| keep[*at as usize]);
        kept.collect()
    }
}

/// All indices: a trace has fewer spans than `u32` has numbers.
fn indices(len: usize) -> impl Iterator<Item = u32> {
    0..u32::try_from(len).unwrap_or(NONE)
}

/// The highest span above one; itself if it is in a circle.
fn top(above: &[u32], start: u32) -> u32 {
    let mut at = start;
    for _ in 0..above.len() {
        match above[at as usize] {
            NONE => return at,
            parent => at = parent,
        }
    }
    start
}

/// Spans without a parent here, the root first, the others by start.
fn tops(bars: Bars<'_>, above: &[u32], root: Option<u32>) -> Vec<u32> {
    let mut tops: Vec<u32> = indices(above.len())
        .filter(|at| above[*at as usize] == NONE)
        .collect();
    tops.sort_by_key(|at| {
        (
            Some(*at) != root,
            bars.start_ns[*at as usize],
            bars.id[*at as usize],
        )
    });
    tops
}

struct Layout<'a> {
    bars: Bars<'a>,
    tree: Tree,
    /// Aligned starts; clocks can differ either way, so these can precede the root's.
    starts: Vec<i64>,
    seen: Vec<bool>,
    /// By how much each node's clock was last found to differ.
    shifts: Vec<i64>,
    waiting: Vec<u32>,
}

impl<'a> Layout<'a> {
    fn new(bars: Bars<'a>, above: &[u32]) -> Self {
        let count = bars.id.len();
        let nodes = bars.node.iter().filter(|node| **node != NONE).max();
        Self {
            bars,
            tree: Tree {
                offset_ns: vec![0; count],
                duration_ns: bars.duration_ns.to_vec(),
                depth: vec![0; count],
                self_ns: vec![0; count],
                parent: vec![NONE; count],
                order: Vec::with_capacity(count),
                root: None,
                orphans: 0,
                children: children(above),
            },
            starts: vec![0; count],
            seen: vec![false; count],
            shifts: vec![0; nodes.map_or(0, |node| *node as usize) + 2],
            waiting: Vec::new(),
        }
    }

    /// Where the shift of a span's node is kept; spans without a node share one.
    fn clock(&self, at: usize) -> usize {
        (self.bars.node[at] as usize).min(self.shifts.len() - 1)
    }

    /// Lays out a span and everything below it.
    fn descend(&mut self, top: u32) {
        let at = top as usize;
        let shift = self.shifts[self.clock(at)];
        self.starts[at] = signed(self.bars.start_ns[at]).saturating_add(shift);
        self.seen[at] = true;
        self.waiting.push(top);
        while let Some(next) = self.waiting.pop() {
            let at = next as usize;
            self.tree.order.push(next);
            let first = self.tree.children.first[at] as usize;
            let end = first + self.tree.children.count[at] as usize;
            let mut kept = first;
            for from in first..end {
                let child = self.tree.children.list[from];
                if self.seen[child as usize] {
                    continue;
                }
                self.seen[child as usize] = true;
                self.align(child as usize, at);
                self.tree.depth[child as usize] = self.tree.depth[at] + 1;
                self.tree.parent[child as usize] = next;
                self.tree.children.list[kept] = child;
                kept += 1;
            }
            self.tree.children.count[at] = u32::try_from(kept - first).unwrap_or(NONE);
            let children = &mut self.tree.children.list[first..kept];
            if children.len() > 1 {
                let (starts, ids) = (&self.starts, self.bars.id);
                children.sort_unstable_by_key(|child| (starts[*child as usize], ids[*child as usize]));
            }
            self.waiting.extend(children.iter().rev());
            self.tree.self_ns[at] = self.uncovered(at, first..kept);
        }
    }

    fn align(&mut self, child: usize, parent: usize) {
        let bars = self.bars;
        let raw = signed(bars.start_ns[child]);
        if bars.node[child] == bars.node[parent] {
            let shift = self.starts[parent].saturating_sub(signed(bars.start_ns[parent]));
            self.starts[child] = raw.saturating_add(shift);
            return;
        }
        let (own, above) = (bars.duration_ns[child], bars.duration_ns[parent]);
        let clock = self.clock(child);
        let start = raw.saturating_add(self.shifts[clock]);
        let sticks_out = start < self.starts[parent]
            || start.saturating_add(signed(own)) > self.starts[parent].saturating_add(signed(above));
        if !sticks_out {
            self.starts[child] = start;
            return;
        }
        // One that is longer than its parent (which gave up waiting) begins with it.
        let before = above.saturating_sub(own) / 2;
        self.starts[child] = self.starts[parent].saturating_add(signed(before));
        self.shifts[clock] = self.starts[child].saturating_sub(raw);
    }

    /// How much of a span none of its children, which are ordered by start, covers.
    fn uncovered(&self, at: usize, children: std::ops::Range<usize>) -> u64 {
        let start = self.starts[at];
        let end = start.saturating_add(signed(self.bars.duration_ns[at]));
        let mut covered_to = start;
        let mut uncovered = 0;
        for child in &self.tree.children.list[children] {
            let child = *child as usize;
            let from = self.starts[child].clamp(start, end);
            let to = self.starts[child]
                .saturating_add(signed(self.bars.duration_ns[child]))
                .clamp(start, end);
            uncovered += (from - covered_to).max(0);
            covered_to = covered_to.max(to);
        }
        (uncovered + (end - covered_to)).unsigned_abs()
    }

    fn finish(mut self) -> Tree {
        let zero = self.starts.iter().copied().min().unwrap_or(0);
        for (offset, start) in self.tree.offset_ns.iter_mut().zip(&self.starts) {
            *offset = start.saturating_sub(zero).unsigned_abs();
        }
        self.tree
    }
}

/// Counts, then places: the children of each span in the order of their arrival.
fn children(above: &[u32]) -> Children {
    let mut count = vec![0u32; above.len()];
    for parent in above.iter().filter(|parent| **parent != NONE) {
        count[*parent as usize] += 1;
    }
    let mut first = Vec::with_capacity(above.len());
    let mut sum = 0u32;
    for children in &count {
        first.push(sum);
        sum += children;
    }
    let mut list = vec![0u32; sum as usize];
    let mut next = first.clone();
    for (child, parent) in indices(above.len()).zip(above) {
        if *parent != NONE {
            list[next[*parent as usize] as usize] = child;
            next[*parent as usize] += 1;
        }
    }
    Children { first, count, list }
}

/// Times since the epoch fit for three centuries; anything longer is cut.
fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) mod tests;
