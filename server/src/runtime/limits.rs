//! `MemoryLimiter`: one instance's memory, summed over its memories, and its tables, summed as well.
//!
//! wasmtime's own limiter counts each of them by itself; a component made of several modules would get the limit several
//! times. What was refused is remembered, so that the trap can say so.

use std::sync::Arc;

use protocol::control::Limits;
use wasmtime::ResourceLimiter;

use super::life::Lives;

/// Counts what an instance takes.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    bytes_max: usize,
    bytes: usize,
    /// What it took to start.
    bytes_at_start: usize,
    elements_max: usize,
    elements: usize,
    refused: Option<Refused>,
    /// Where the memory of all the handler's instances is counted.
    lives: Arc<Lives>,
}

/// What was asked for in vain: the whole size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Of the memories, in bytes.
    Memory(usize),
    /// Of the tables, in elements.
    Tables(usize),
}

impl MemoryLimiter {
    pub(super) fn new(limits: &Limits, lives: Arc<Lives>) -> Self {
        Self {
            bytes_max: usize::try_from(limits.memory_bytes_max).unwrap_or(usize::MAX),
            bytes: 0,
            bytes_at_start: 0,
            elements_max: limits.table_elements_max as usize,
            elements: 0,
            refused: None,
            lives,
        }
    }

    /// What was asked for in vain since the last look.
    pub(super) fn take_refused(&mut self) -> Option<Refused> {
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
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        self.lives.shrank(self.bytes);
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
            self.refused = Some(Refused::Memory(after));
            return Ok(false);
        }
        self.lives.grew(after.saturating_sub(self.bytes));
        self.bytes = after;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let after = self.elements.saturating_sub(current).saturating_add(desired);
        if after > self.elements_max {
            self.refused = Some(Refused::Tables(after));
            return Ok(false);
        }
        self.elements = after;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> MemoryLimiter {
        let limits = Limits {
            memory_bytes_max: 100,
            table_elements_max: 10,
            ..Limits::default()
        };
        MemoryLimiter::new(&limits, Arc::default())
    }

    #[test]
    fn memories_share_one_limit() {
        let mut limiter = limiter();
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert_eq!(limiter.take_refused(), Some(Refused::Memory(120)));
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert_eq!(limiter.bytes, 100);
        let lives = Arc::clone(&limiter.lives);
        assert_eq!(lives.figures().memory_bytes, 100);
        assert_eq!(limiter.grown_bytes(), 100);
        limiter.started();
        assert_eq!(limiter.grown_bytes(), 0);
        drop(limiter);
        assert_eq!(
            lives.figures().memory_bytes,
            0,
            "an instance gives all of it back"
        );
    }

    #[test]
    fn tables_share_one_limit() {
        let mut limiter = limiter();
        assert!(limiter.table_growing(0, 6, None).unwrap());
        assert!(!limiter.table_growing(0, 5, None).unwrap());
        assert_eq!(limiter.take_refused(), Some(Refused::Tables(11)));
        assert!(limiter.table_growing(0, 4, None).unwrap());
        assert!(!limiter.table_growing(6, 7, None).unwrap());
        assert_eq!(limiter.take_refused(), Some(Refused::Tables(11)));
    }
}
