//! What pages are made of: they get what they show and fetch nothing.

pub mod faces;
pub mod tags;
