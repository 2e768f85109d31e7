//! `MemoryLimiter`: one instance's memory, summed over its memories, and its tables.
//!
//! wasmtime's own limiter counts each memory by itself; a component made of several modules would get the limit several
//! times. What was refused is remembered, so that the trap can say so.

use wasmtime::ResourceLimiter;

/// The most elements of one table.
const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Counts what an instance takes.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    bytes_max: usize,
    bytes: usize,
    /// What it took to start.
    bytes_at_start: usize,
    refused: Option<usize>,
}

impl MemoryLimiter {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
            bytes: 0,
            bytes_at_start: 0,
            refused: None,
        }
    }

    /// What was asked for in vain since the last look: the whole size in bytes.
    pub(super) fn take_refused(&mut self) -> Option<usize> {
        self.refused.take()
    }

    /// Says that the instance has started.
    pub(super) fn started(&mut self) {
        self.bytes_at_start = self.bytes;
    }

    /// What it took since it has started. Memory never shrinks, so that this is also the most that it took.
    pub(super) fn grown_bytes(&self) -> usize {
        self.bytes - self.bytes_at_start
    }

    /// The limit.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let after = self.bytes.saturating_sub(current).saturating_add(desired);
        if after > self.bytes_max {
            self.refused = Some(after);
            return Ok(false);
        }
        self.bytes = after;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_share_one_limit() {
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert_eq!(limiter.take_refused(), Some(120));
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert_eq!(limiter.bytes, 100);
        assert_eq!(limiter.grown_bytes(), 100);
        limiter.started();
        assert_eq!(limiter.grown_bytes(), 0);
    }
}
