//! Process: CPU time and memory of a process and all its descendants, from `/proc`.
//!
//! CPU time of children that ended and were waited for is in their parent's `cutime`/`cstime`, so the sum over a tree
//! never goes back while its processes come and go. Where there is no `/proc`, there is no answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// What the living processes of a tree hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Their memory; pages that they share are counted once (PSS), or as often as they are mapped
    /// where the kernel does not tell (RSS).
    pub bytes: u64,
    /// How many they are.
    pub processes: usize,
}

/// CPU time of the tree under `root` since its start, without the tree under `except`.
pub fn cpu_seconds(root: u32, except: Option<u32>) -> Option<f64> {
    let all = read_all();
    let ticks: u64 = tree(&all, root, except)?.iter().map(|pid| all[pid].ticks).sum();
    Some(ticks as f64 / ticks_per_second())
}

/// Memory of the same tree. The kernel walks every page for it: not to be asked for while latencies are measured.
pub fn memory(root: u32, except: Option<u32>) -> Option<Memory> {
    let tree = tree(&read_all(), root, except)?;
    Some(Memory {
        bytes: tree.iter().map(|pid| memory_of(*pid)).sum(),
        processes: tree.len(),
    })
}

/// CPU time of this process alone.
pub fn own_cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|text| Stat::parse(&text))?;
    Some(stat.own_ticks as f64 / ticks_per_second())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own_ticks: u64,
    /// Own, and those of children that ended.
    ticks: u64,
}

impl Stat {
    /// Fields 4 and 14 to 17 of `proc_pid_stat(5)`; the name before them may hold spaces and brackets.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let own_ticks = number(11)? + number(12)?;
        let ticks = own_ticks + number(13)? + number(14)?;
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own_ticks,
            ticks,
        })
    }
}

fn read_all() -> BTreeMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, Stat::parse(&text)?))
        })
        .collect()
}

fn tree(all: &BTreeMap<u32, Stat>, root: u32, except: Option<u32>) -> Option<BTreeSet<u32>> {
    all.get(&root)?;
    let mut tree = BTreeSet::from([root]);
    let mut edge = vec![root];
    while let Some(parent) = edge.pop() {
        for (pid, stat) in all {
            if stat.parent == parent && Some(*pid) != except && tree.insert(*pid) {
                edge.push(*pid);
            }
        }
    }
    Some(tree)
}

fn memory_of(pid: u32) -> u64 {
    field_kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
        .or_else(|| field_kib(&format!("/proc/{pid}/status"), "VmRSS:"))
        .map_or(0, |kib| kib * 1024)
}

fn field_kib(path: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn ticks_per_second() -> f64 {
    #[cfg(target_os = "linux")]
    return rustix::param::clock_ticks_per_second() as f64;
    #[cfg(not(target_os = "linux"))]
    return 100.0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_the_name() {
        let line = "42 (a b) c) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5 6 7";
        assert_eq!(
            Stat::parse(line),
            Some(Stat {
                parent: 7,
                own_ticks: 120,
                ticks: 127
            })
        );
        assert_eq!(Stat::parse("42 (cut"), None);
    }

    #[test]
    fn a_tree_has_all_descendants_but_the_excepted() {
        let stat = |parent| Stat {
            parent,
            own_ticks: 1,
            ticks: 1,
        };
        let all = BTreeMap::from([
            (1, stat(0)),
            (2, stat(1)),
            (3, stat(2)),
            (4, stat(1)),
            (5, stat(4)),
            (6, stat(0)),
        ]);
        assert_eq!(tree(&all, 1, None), Some(BTreeSet::from([1, 2, 3, 4, 5])));
        assert_eq!(tree(&all, 1, Some(4)), Some(BTreeSet::from([1, 2, 3])));
        assert_eq!(tree(&all, 9, None), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_waited_for_child_stays_in_the_sum() {
        let before = cpu_seconds(std::process::id(), None).unwrap();
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let status = std::process::Command::new("sh")
            .args(["-c", work])
            .status()
            .unwrap();
        assert!(status.success());
        let after = cpu_seconds(std::process::id(), None).unwrap();
        assert!(after > before, "{before} {after}");
        let memory = memory(std::process::id(), None).unwrap();
        assert!(memory.bytes > 0 && memory.processes >= 1);
    }
}
