//! The product from outside: real homes with real child processes on free ports, driven by HTTP, signals, files and the
//! command line, and observed by its answers, its API and its traces.
//!
//! Tests assert order and outcome under a watchdog, never absolute times. The components come from
//! `cargo xtask build --guests`, or from the folder that CLEAVE_COMPONENTS names.

#![expect(clippy::print_stderr, reason = "a failed test prints what its home said")]

/// Ten child processes: one trace through them, and what happens when one of them or home dies.
mod apart;
/// Statuses and bodies of `/api/v1`, and the event stream.
mod api;
/// Who may do what: grants, and what a node may call at another one.
mod authority;
/// The bill, the hour and the map of a real shop.
mod bill;
/// A person in a real browser: the shop beside Cleave, together and apart.
mod browser;
/// Functions called by hand, and the shop bought through the ingress.
mod calls;
/// The commands that talk to a running home.
mod cli;
/// Files that come, change and go, good and bad, and hostile handlers among neighbours.
mod deploy;
/// One recorded workload, the same answers in every placement.
mod equivalence;
/// The commands of the examples' READMEs.
mod examples;
/// Twenty guests that do what no compiler would make, and their neighbour.
mod hostile;
/// From rung to rung of the ladder of transports while calls run.
mod ladder;
/// Limits of calls and handlers, together and apart.
mod limits;
/// Moves of every kind under constant load.
mod moves;
/// The queued edge: delivered, dead, retried, and never lost.
mod queue;
/// Handlers with async functions among others, together and apart.
mod shared;
/// Starting and stopping: what is refused, and what Ctrl-C leaves behind.
mod start;
/// The homes and clients that all of these use.
mod support;
/// The traces of the shop: their shape, their sums, how they are found and kept.
mod traces;
