//! Stub.
pub mod load;
pub mod up;
