//! The web UI: pages over the public `/api/v1` and its event stream, compiled to one WASM module.
//!
//! Two halves. What can be computed without a browser (addresses, numbers in words, layouts, findings) is plain Rust
//! and tested natively; these modules come first. `app` is the page itself, in Leptos, and exists only on `wasm32`.
//! Reading order: `route`, then `app.rs` (shell), `app/live.rs` (data), `app/pages/`.
//! Not here: anything that only the UI could do; what it shows and does, a script can read and do too.

#![forbid(unsafe_code)]

pub mod bill;
pub mod changes;
pub mod comparison;
pub mod completion;
pub mod filters;
pub mod finding;
pub mod form;
pub mod format;
pub mod heat;
pub mod json;
pub mod learn;
pub mod map;
pub mod palette;
pub mod route;
pub mod searches;
pub mod series;
pub mod shape;
pub mod steps;
pub mod viewport;
pub mod waterfall;

#[cfg(target_arch = "wasm32")]
mod app;
