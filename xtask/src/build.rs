//! `cargo xtask build`: the parts of the product, in the order in which they need each other.

use anyhow::Result;

use crate::project::Project;
use crate::steps::Steps;
use crate::wasm_std::WasmStd;
use crate::{guests, server, web_ui};

/// Which parts to build.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub guests: bool,
    pub ui: bool,
    pub server: bool,
}

pub fn run(project: &Project, options: &Options) -> Result<()> {
    let wasm = options.guests || options.ui;
    let total = [wasm, options.guests, options.ui, options.server]
        .into_iter()
        .filter(|wanted| *wanted)
        .count();
    let mut steps = Steps::new(total);
    if wasm {
        let wasm_std = wasm_std(project, &mut steps)?;
        if options.guests {
            handlers(project, &wasm_std, &mut steps)?;
        }
        if options.ui {
            ui(project, &wasm_std, &mut steps)?;
        }
    }
    if options.server {
        product(project, &mut steps)?;
    }
    Ok(())
}

/// Step shared by every command that needs WASM.
pub fn wasm_std(project: &Project, steps: &mut Steps) -> Result<WasmStd> {
    steps.run("Find the WASM standard library", || WasmStd::set_up(project))
}

/// Step shared by every command that needs the components.
pub fn handlers(project: &Project, wasm_std: &WasmStd, steps: &mut Steps) -> Result<Vec<guests::Guest>> {
    steps.run("Build the handlers", || guests::build(project, wasm_std))
}

/// Step shared by every command that needs the web UI.
pub fn ui(project: &Project, wasm_std: &WasmStd, steps: &mut Steps) -> Result<()> {
    steps.run("Build the web UI", || web_ui::build(project, wasm_std))
}

/// Step shared by every command that needs the binary.
pub fn product(project: &Project, steps: &mut Steps) -> Result<()> {
    steps.run("Build the server", || server::build(project))
}
