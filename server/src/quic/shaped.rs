//! What a way between nodes is made to do to what travels on it: a model, and what carries it out.
//!
//! It stands at the caller's end and works in both directions: beneath TLS on a lane of bytes ([`bytes`]), beneath quinn
//! on a UDP socket ([`udp`]), whose losses quinn recovers from itself. The model is pure and told the time; what waits
//! for a moment is woken by [`timer`]. Nothing of it runs where nothing is shaped.

pub(super) mod bytes;
pub(super) mod pipe;
pub(super) mod timer;
pub(super) mod udp;
