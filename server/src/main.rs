//! The binary `cleave`.
fn main() {}
