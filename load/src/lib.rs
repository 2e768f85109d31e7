//! Load: how fast a target answers, honestly, and what a placement costs against another.
//!
//! In reading order: a `scenario` says what is sent, a `schedule` when; `open_loop` sends it (`lane`, `pacer`, `worker`,
//! `session`, `client`) and a `recorder` keeps what came of it; `capacity` is the closed loop. `run` does that once,
//! `compare` in blocks (`blocks`) over placements that it asks for (`api`), with what the server used (`meter`,
//! `process`) and a `verdict` by `bootstrap`. `report` writes it down. Arguments and printing are the CLI's.

pub mod scenario;
pub mod schedule;

pub mod capacity;
pub mod client;
mod lane;
pub mod open_loop;
mod pacer;
mod recorder;
mod session;
mod values;
mod worker;

pub mod compare;
pub mod run;

mod api;
pub mod blocks;
pub mod bootstrap;
mod machine;
mod meter;
mod process;
mod tally;
pub mod verdict;

mod format;
mod generator;
pub mod progress;
pub mod report;
pub mod stop;
pub mod threshold;

#[cfg(test)]
mod fake;
