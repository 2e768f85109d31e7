//! Marks that `handler!` puts on `World` for each capability that the WIT world imports.
//!
//! A mark is what makes the capability's trait available: a handler that does not import `wasi:keyvalue` cannot
//! call it, and finds out from the compiler.

/// The world imports `wasi:logging/logging`.
pub trait Logging {
    /// Groups the lines of one handler: its package name.
    const CONTEXT: &'static str;
}

/// The world imports `wasi:random/random`.
pub trait Randomness {}

/// The world imports `wasi:clocks/wall-clock`.
pub trait WallClock {}

/// The world imports `wasi:keyvalue/store` and `wasi:keyvalue/atomics`.
pub trait KeyValueStore {}

/// The world imports `wasi:config/store`.
pub trait ConfigStore {}

/// The world imports `cleave:queue/queue`.
pub trait Queueing {}
