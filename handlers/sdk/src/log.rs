//! Log lines (`wasi:logging`): they become events of the span of the call that wrote them.

pub use crate::bindings::wasi::logging::logging::Level;

/// Writes log lines. Never write secrets or what customers typed.
pub trait Log {
    /// Writes one line.
    fn log(&self, level: Level, message: &str);

    /// Something that went as it should and is worth knowing.
    fn info(&self, message: &str) {
        self.log(Level::Info, message);
    }

    /// Something is worse than it should be, and the handler copes.
    fn warn(&self, message: &str) {
        self.log(Level::Warn, message);
    }

    /// Something failed.
    fn error(&self, message: &str) {
        self.log(Level::Error, message);
    }
}

#[cfg(target_arch = "wasm32")]
impl<W: crate::grant::Logging> Log for W {
    fn log(&self, level: Level, message: &str) {
        crate::bindings::wasi::logging::logging::log(level, W::CONTEXT, message);
    }
}
