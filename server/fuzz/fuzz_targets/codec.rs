//! The codec against wasmtime's `Val`, on types and values that the bytes draw: `cargo fuzz run codec` in `server`, with a
//! nightly compiler. Its body also runs in every run of the tests, with random bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| server::runtime::agree_on(bytes));
