//! Machine: where both sides of a measurement ran. A number without it means nothing.

use std::fs;

use serde::Serialize;

/// The machine that the generator runs on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// The processor, as it calls itself.
    pub model: String,
    /// The kernel.
    pub kernel: String,
    /// Memory in all.
    pub memory_bytes: Option<u64>,
    /// The load average of the minute before the run: what else was going on.
    pub load_average_before: Option<f64>,
    /// Whether the target is on this machine too, so that no real network lies between.
    pub same_host: bool,
}

impl Machine {
    /// Looks around.
    pub fn look(same_host: bool) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kib = memory.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        let release = read("/proc/sys/kernel/osrelease");
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            model: field(&read("/proc/cpuinfo"), "model name")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            kernel: format!("{} {}", std::env::consts::OS, release.trim())
                .trim()
                .to_owned(),
            memory_bytes: kib.map(|kib| kib * 1024),
            load_average_before: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|text| text.parse().ok()),
            same_host,
        }
    }
}
