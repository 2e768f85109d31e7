//! Random bytes and ids (`wasi:random`): unpredictable, different in every call.

/// Makes what nobody can guess.
pub trait Random {
    /// This many random bytes.
    fn random_bytes(&self, count: usize) -> Vec<u8>;

    /// This many random bytes in hexadecimal digits, two for each.
    fn random_hex(&self, count: usize) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
        self.random_bytes(count)
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
            .collect()
    }
}

#[cfg(target_arch = "wasm32")]
impl<W: crate::grant::Randomness> Random for W {
    fn random_bytes(&self, count: usize) -> Vec<u8> {
        crate::bindings::wasi::random::random::get_random_bytes(count as u64)
    }
}
