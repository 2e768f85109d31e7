//! Cleave: one node of it, from the doors to the ground.
//!
//! The modules below are in reading order, which is the order in which a call meets them. `ARCHITECTURE.md` has
//! the map; the `tidy` test (`server/protocol/tests/tidy.rs`) holds the imports to it.

pub mod cli;
pub mod config;
pub mod node;

pub mod http;
pub mod placement;
pub mod router;

pub mod quic;
pub mod runtime;

pub mod edges;
pub mod map;
pub mod otlp;
pub mod peers;
pub mod queue;
pub mod state;
pub mod traces;

pub mod clock;
pub mod db;
pub mod dispatch;
pub mod shutdown;
pub mod telemetry;
