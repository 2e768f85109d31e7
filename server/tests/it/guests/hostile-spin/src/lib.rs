//! Never ends, or works for a while: what deadlines are for.

use std::hint::black_box;

sdk::handler! { path: "../wit", world: "hostile-spin", handler: Spinner }

pub struct Spinner;

impl Spin for Spinner {
    fn forever(&self) {
        let mut turns = 0_u64;
        loop {
            turns = black_box(turns.wrapping_add(1));
        }
    }

    fn steps(&self, millions: u32) -> u64 {
        (0..u64::from(millions) * 1_000_000).fold(0, |sum, step| black_box(sum ^ step))
    }
}
