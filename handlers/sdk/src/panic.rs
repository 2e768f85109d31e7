//! Says why before the trap: without a hook, a panic inside a component is a bare `unreachable`.

use std::sync::Once;

use crate::bindings::wasi::logging::logging::{Level, log};

static HOOK: Once = Once::new();

/// Installs the hook, once per instance. `handler!` does it at every door.
pub fn install() {
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            log(Level::Critical, "panic", &panic.to_string())
        }))
    });
}
