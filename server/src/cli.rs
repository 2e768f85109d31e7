//! Stub.
pub mod up;
