//! The node: builds its parts in dependency order, owns them, and stops them in reverse.
//!
//! The one place that knows more than one implementation of `Dispatch`. `home` is the node that the user starts, with
//! doors, stores and placement; `child` is started by home and only serves. Both follow home's routes by the same
//! `station`.

mod affinity;
mod child;
mod chronicle;
mod fleet;
mod handlers;
mod home;
mod local;
mod lock;
mod outside;
mod placed;
mod queued;
mod renewal;
mod rights;
mod seat;
mod station;
mod stores;
mod view;

pub use child::child;
pub use home::up;
