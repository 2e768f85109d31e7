//! Two sets of traces aligned call by call, whatever way the calls go. Pure.
//!
//! Promises: a path is the callees from the root on, so a call is the same one within a process, over a wire and
//! through a queue; what only one side calls is told as such; a difference in time is told with its interval or not at
//! all. Some hundred thousand spans a side take a fraction of a second.

mod shift;
mod sides;

use std::collections::HashMap;
use std::sync::Arc;

use protocol::api::diff::{Diff, DiffPath, DiffSide, PATHS_MAX, PathSide};
use protocol::{SpanId, TraceId, Transport};

use self::shift::{median, shift};
use super::rows::{Laid, short_name};
use super::skeleton::NONE;

/// A trace of a side.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) laid: Arc<Laid>,
    pub(super) name: String,
    pub(super) placement: String,
    pub(super) duration_ns: u64,
    pub(super) has_failed: bool,
}

/// A side, as it was read.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) members: Vec<Member>,
    pub(super) is_cut: bool,
}

/// The calls of a path on one side.
#[derive(Debug, Default, Clone)]
struct Calls {
    traces: u32,
    count: u64,
    failed: u64,
    /// Of each call, or of each trace its mean call.
    lengths: Vec<u64>,
    owns: Vec<u64>,
    betweens: Vec<u64>,
    ways: Vec<Transport>,
    slowest: Option<(u64, TraceId, SpanId)>,
    total_ns: u64,
    /// Of the trace that is being read: calls, their sum and their own time.
    open: (u64, u64, u64),
}

/// All paths, each once.
#[derive(Debug, Default)]
struct Paths {
    words: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    /// By the path above, the callee and what it does.
    known: HashMap<(u32, u32, u32), u32>,
    paths: Vec<Path>,
}

#[derive(Debug)]
struct Path {
    above: u32,
    handler: u32,
    label: u32,
    depth: u32,
    below: Vec<u32>,
    sides: [Calls; 2],
}

/// Aligns two sides.
pub(super) fn diff(a: &Side, b: &Side) -> Diff {
    let mut paths = Paths::default();
    let is_single = a.members.len() == 1 && b.members.len() == 1;
    for (side, read) in [a, b].into_iter().enumerate() {
        for member in &read.members {
            paths.add(&member.laid, side, is_single);
        }
    }
    let lengths =
        |side: &Side| -> Vec<u64> { side.members.iter().map(|member| member.duration_ns).collect() };
    let traces = [a.members.len(), b.members.len()];
    let (told, left_out) = paths.told(traces);
    Diff {
        whole: shift(&mut lengths(a), &mut lengths(b)),
        a: summary(a),
        b: summary(b),
        paths: told,
        left_out,
    }
}

fn summary(side: &Side) -> DiffSide {
    let members = &side.members;
    let name = members.first().map_or("", |first| first.name.as_str());
    let is_shared = members.iter().all(|member| member.name == name);
    let mut placements: Vec<String> = members.iter().map(|member| member.placement.clone()).collect();
    placements.sort();
    placements.dedup();
    let mut lengths: Vec<u64> = members.iter().map(|member| member.duration_ns).collect();
    DiffSide {
        name: if is_shared { name.to_owned() } else { String::new() },
        traces: number(members.len()),
        spans: members
            .iter()
            .map(|member| member.laid.skeleton.len() as u64)
            .sum(),
        is_cut: side.is_cut,
        failed: number(members.iter().filter(|member| member.has_failed).count()),
        median_ns: median(&mut lengths),
        placements,
    }
}

impl Paths {
    /// Adds the calls of a trace.
    fn add(&mut self, laid: &Laid, side: usize, is_single: bool) {
        let Laid {
            skeleton,
            tree,
            table,
            ..
        } = laid;
        // The skeleton's words as ours, each looked up once.
        let mut ours: HashMap<(u32, bool), u32> = HashMap::new();
        let mut path_of: Vec<u32> = Vec::with_capacity(table.len());
        let mut touched: Vec<u32> = Vec::new();
        for row in 0..number(table.len()) {
            let parent = table.parent[row as usize];
            let above = if parent == NONE {
                NONE
            } else {
                path_of[parent as usize]
            };
            if table.repeats(row).is_some() {
                path_of.push(above);
                continue;
            }
            let span = table.span[row as usize] as usize;
            let handler = table.handler(skeleton, row);
            let name = skeleton.name[span];
            let handler = *ours
                .entry((handler, false))
                .or_insert_with(|| self.word(skeleton.text(handler)));
            let label = *ours
                .entry((name, true))
                .or_insert_with(|| self.word(short_name(skeleton.text(name))));
            let path = self.path(above, handler, label);
            path_of.push(path);
            let (start, end) = table.outer(tree, row);
            let server = table.server(row).map(|server| server as usize);
            let length = end - start;
            let between = server.map_or(0, |server| length.saturating_sub(tree.duration_ns[server]));
            let calls = &mut self.paths[path as usize].sides[side];
            if calls.open.0 == 0 {
                touched.push(path);
            }
            let own = tree.self_ns[span] + server.map_or(0, |server| tree.self_ns[server]);
            calls.open.0 += 1;
            calls.open.1 += length;
            calls.open.2 += own;
            calls.count += 1;
            calls.total_ns += length;
            calls.failed += u64::from(table.has_failed(skeleton, row));
            calls.betweens.push(between);
            if is_single {
                calls.lengths.push(length);
                calls.owns.push(own);
            }
            if let Some(way) = skeleton.transport[span]
                && !calls.ways.contains(&way)
            {
                calls.ways.push(way);
            }
            if calls.slowest.is_none_or(|(slowest, ..)| length > slowest) {
                calls.slowest = Some((length, skeleton.trace_id, SpanId(skeleton.id[span])));
            }
        }
        for path in touched {
            let calls = &mut self.paths[path as usize].sides[side];
            let (count, length, own) = std::mem::take(&mut calls.open);
            calls.traces += 1;
            if !is_single {
                calls.lengths.push(length / count);
                calls.owns.push(own / count);
            }
        }
    }

    fn word(&mut self, text: &str) -> u32 {
        if let Some(word) = self.words.get(text) {
            return *word;
        }
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        let word = number(self.texts.len() - 1);
        self.words.insert(text, word);
        word
    }

    fn path(&mut self, above: u32, handler: u32, label: u32) -> u32 {
        if let Some(path) = self.known.get(&(above, handler, label)) {
            return *path;
        }
        let path = number(self.paths.len());
        let depth = match self.paths.get_mut(above as usize) {
            Some(parent) => {
                parent.below.push(path);
                parent.depth + 1
            }
            None => 0,
        };
        self.paths.push(Path {
            above,
            handler,
            label,
            depth,
            below: Vec::new(),
            sides: Default::default(),
        });
        self.known.insert((above, handler, label), path);
        path
    }

    /// The paths that take the most time, in the order of the tree, and how many are left out.
    fn told(&mut self, traces: [usize; 2]) -> (Vec<DiffPath>, u64) {
        let mut by_time: Vec<u32> = (0..number(self.paths.len())).collect();
        let time = |path: &u32| {
            let [a, b] = &self.paths[*path as usize].sides;
            std::cmp::Reverse(a.total_ns.max(b.total_ns))
        };
        by_time.sort_by_key(time);
        let mut is_told = vec![false; self.paths.len()];
        for path in by_time.iter().take(PATHS_MAX) {
            is_told[*path as usize] = true;
        }
        let tops = (0..number(self.paths.len())).filter(|path| self.paths[*path as usize].above == NONE);
        let mut waiting: Vec<u32> = tops.collect();
        waiting.reverse();
        let mut told = Vec::with_capacity(by_time.len().min(PATHS_MAX));
        while let Some(path) = waiting.pop() {
            waiting.extend(self.paths[path as usize].below.iter().rev());
            if is_told[path as usize] {
                told.push(self.tell(path, traces));
            }
        }
        let left_out = self.paths.len() - told.len();
        (told, left_out as u64)
    }

    fn tell(&mut self, path: u32, traces: [usize; 2]) -> DiffPath {
        let text = |word: u32| self.texts[word as usize].as_ref().to_owned();
        let path = &self.paths[path as usize];
        let caller = self
            .paths
            .get(path.above as usize)
            .map(|above| text(above.handler));
        let [mut a, mut b] = path.sides.clone();
        let is_in_both = a.count > 0 && b.count > 0;
        let told = [(&mut a, traces[0]), (&mut b, traces[1])].map(|(calls, traces)| side(calls, traces));
        let [side_a, side_b] = told;
        DiffPath {
            depth: path.depth,
            caller: caller.unwrap_or_default(),
            handler: text(path.handler),
            label: text(path.label),
            length: is_in_both.then(|| shift(&mut a.lengths, &mut b.lengths)),
            own: is_in_both.then(|| shift(&mut a.owns, &mut b.owns)),
            a: side_a,
            b: side_b,
        }
    }
}

fn side(calls: &mut Calls, traces: usize) -> Option<PathSide> {
    let (_, trace, span) = calls.slowest?;
    calls.ways.sort_unstable();
    Some(PathSide {
        traces: calls.traces,
        calls: calls.count,
        calls_per_trace: calls.count as f64 / traces.max(1) as f64,
        failed: calls.failed,
        median_ns: median(&mut calls.lengths),
        own_median_ns: median(&mut calls.owns),
        between_median_ns: median(&mut calls.betweens),
        ways: calls.ways.clone(),
        slowest: (trace, span),
    })
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
