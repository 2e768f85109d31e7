//! What pages are made of: they get what they show and fetch nothing.

pub mod chronicle;
pub mod confirm;
pub mod faces;
pub mod form;
pub mod tags;
pub mod value;
