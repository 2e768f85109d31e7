//! What a process uses, read from `/proc`: CPU time and resident memory. Nothing where there is no `/proc`.

use std::path::{Path, PathBuf};

/// The kernel reports CPU time to programs in these, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used and uses.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// CPU time since its start, in seconds, to a hundredth.
    pub cpu_seconds: f64,
    /// CPU time of its children that have ended and were waited for, in seconds.
    pub ended_children_cpu_seconds: f64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
}

/// What this process uses.
pub fn own() -> Option<Usage> {
    read(Path::new("/proc/self"))
}

/// What a process uses; `None` once it is gone.
pub fn of(pid: u32) -> Option<Usage> {
    read(&PathBuf::from(format!("/proc/{pid}")))
}

fn read(process: &Path) -> Option<Usage> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    parse(&stat, &status)
}

fn parse(stat: &str, status: &str) -> Option<Usage> {
    // The command, field 2, may hold spaces and parentheses; the last one closes it, and field 3 follows.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident_kib = resident.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Some(Usage {
        cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
        ended_children_cpu_seconds: (ticks(16)? + ticks(17)?) / TICKS_PER_SECOND,
        // A process that has ended and was not waited for yet has no memory.
        resident_bytes: resident_kib.unwrap_or(0) * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "77 (a) b) c) S 1 77 77 0 -1 4194560 500 0 0 0 250 50 30 20 20 0 4 0 100 1000 200";
        let status = "Name:\tcleave\nVmHWM:\t   9000 kB\nVmRSS:\t    2048 kB\nThreads:\t4\n";
        let usage = parse(stat, status).unwrap();
        assert_eq!(usage.cpu_seconds, 3.0);
        assert_eq!(usage.ended_children_cpu_seconds, 0.5);
        assert_eq!(usage.resident_bytes, 2 << 20);
    }

    #[test]
    fn a_cut_line_is_no_usage() {
        assert_eq!(parse("77 (cleave) S 1 77", ""), None);
        assert_eq!(parse("", ""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory() {
        assert!(own().unwrap().resident_bytes > 0);
        assert!(of(std::process::id()).unwrap().resident_bytes > 0);
    }
}
