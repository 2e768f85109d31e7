//! Stub.

pub mod load;
