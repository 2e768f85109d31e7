//! `wasi:logging/logging@0.1.0-draft`: log lines of a guest, kept with the span of its call.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker};

use super::Enter;
use crate::runtime::guest::Guest;

#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "guests make these; they come in through `Lift`")]
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
    #[component(name = "critical")]
    Critical,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<Guest>, enter: Enter) -> wasmtime::Result<()> {
    linker.instance("wasi:logging/logging@0.1.0-draft")?.func_wrap(
        "log",
        move |mut store: StoreContextMut<'_, Guest>, (level, context, message): (Level, String, String)| {
            let line = if context.is_empty() {
                message
            } else {
                format!("{context}: {message}")
            };
            enter(&mut store)?;
            store.data_mut().log(level.as_str(), &line);
            Ok(())
        },
    )
}
