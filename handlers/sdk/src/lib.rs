//! The SDK: what keeps a handler to its business code.
//!
//! `handler!` binds a type to a WIT world. Each interface that the world imports is a trait, implemented by `World`
//! inside a component and by whatever a test or a native program likes outside. `Outcome` deals with calls that
//! fail; `panic` logs before the trap; `http` is enough HTTP to render pages. Each capability has one file, named
//! after its WIT. Not here: the contracts of a particular application (see `contract!`) and the host's side.

#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "sdk",
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq],
        additional_derives_ignore: ["cas-error", "stream-error"],
    });
}

mod call;
#[cfg(not(target_arch = "wasm32"))]
pub mod fake;
pub mod grant;
pub mod http;
mod keyvalue;
mod log;
#[cfg(target_arch = "wasm32")]
pub mod panic;
mod queue;
mod random;
mod settings;
mod time;

pub use call::{CallError, Fault, Outcome};
pub use keyvalue::{KeyPage, KeyValue, StoreError, SwapError, UpdateError};
pub use log::{Level, Log};
pub use queue::{MessageOptions, Queue, QueueError};
pub use random::Random;
pub use sdk_macros::{contract, handler};
pub use settings::{Settings, SettingsError};
pub use time::Clock;

#[doc(hidden)]
pub use wit_bindgen;
