//! Traps in every way that a business module does by accident. The instance is gone afterwards; nobody else is.

use std::sync::atomic::{AtomicU32, Ordering};

use bindings::exports::hostile::guests::trap::Fault;

sdk::handler! { path: "../wit", world: "hostile-trap", handler: Trapper }

pub struct Trapper;

static ANSWERS: AtomicU32 = AtomicU32::new(0);

impl Trap for Trapper {
    fn panic(&self, text: String) -> Result<u32, Fault> {
        panic!("{text}")
    }

    fn read_nowhere(&self) -> u32 {
        let end = usize::MAX - 63;
        // SAFETY: none; reading beyond the end of linear memory is what this function is for.
        #[expect(unsafe_code, reason = "safe Rust cannot leave linear memory")]
        unsafe {
            (end as *const u32).read_volatile()
        }
    }

    fn exhaust_stack(&self) -> u32 {
        deeper(std::hint::black_box(1))
    }

    fn count(&self) -> u32 {
        ANSWERS.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn deeper(level: u32) -> u32 {
    let frame = std::hint::black_box([level; 256]);
    deeper(std::hint::black_box(frame[0].wrapping_add(1))).wrapping_add(frame[255])
}
