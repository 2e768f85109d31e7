//! `wasi:config/store@0.2.0-rc.1`: a handler's settings. None are configured in this version: every key is absent.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower};

use crate::runtime::guest::Guest;

#[derive(ComponentType, Lower)]
#[component(variant)]
enum ConfigError {
    #[component(name = "upstream")]
    #[expect(
        dead_code,
        reason = "the interface has the case; an absent setting is no error"
    )]
    Upstream(String),
    #[component(name = "io")]
    #[expect(
        dead_code,
        reason = "the interface has the case; an absent setting is no error"
    )]
    Io(String),
}

type Settings = Vec<(String, String)>;

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut store = linker.instance("wasi:config/store@0.2.0-rc.1")?;
    store.func_wrap("get", |_: StoreContextMut<'_, Guest>, (_key,): (String,)| {
        Ok((Ok::<Option<String>, ConfigError>(None),))
    })?;
    store.func_wrap("get-all", |_: StoreContextMut<'_, Guest>, (): ()| {
        Ok((Ok::<Settings, ConfigError>(Vec::new()),))
    })
}
