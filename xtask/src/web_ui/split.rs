//! Takes the UI's module apart: the shell, which every page needs, and a chunk for each page or few.
//!
//! Where it is cut stands in the UI itself (`#[wasm_split]` in `app/chunks.rs`); what needs what is told by the linker's
//! relocations, which the module must have. What several chunks need is in each of them (`merge.rs` says why it may be).
//! Not here: fetching chunks, which is `web-ui/loader.js`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use wasm_split_cli_support::{Options, transform};

use super::merge;

/// What the linker must be told, so that a module can be taken apart.
pub const LINK_ARGS: [&str; 1] = ["-Clink-arg=--emit-relocs"];

/// The script that fetches chunks; the shell imports its functions by this name.
pub const LOADER: &str = "loader.js";

/// The files of the splitting that hold one page's own begin with this.
const OWN: &str = "split_";

/// What came out.
pub struct Parts {
    /// The shell, to be bound to JavaScript.
    pub shell: Vec<u8>,
    /// By name, as in `#[wasm_split(name)]`.
    pub chunks: BTreeMap<String, Vec<u8>>,
}

/// Takes `module` apart, by way of files in `folder`.
pub fn split(module: &Path, folder: &Path) -> Result<Parts> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("empty {}", folder.display()))?;
    }
    let bytes = std::fs::read(module).with_context(|| format!("read {}", module.display()))?;
    let shell = folder.join("shell.wasm");
    let link_name = format!("./{LOADER}");
    let mut options = Options::new(&bytes);
    options.output_dir = folder;
    options.main_out_path = &shell;
    options.link_name = &link_name;
    let split = transform(options).map_err(|error| anyhow!("take the web UI apart: {error:#}"))?;
    ensure!(
        !split.prefetch_map.is_empty(),
        "the web UI says nowhere where it is to be taken apart"
    );
    let mut files = BTreeMap::new();
    for file in split.prefetch_map.values().flatten() {
        let path = folder.join(format!("{file}.wasm"));
        let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        files.insert(file.as_str(), bytes);
    }
    let mut chunks = BTreeMap::new();
    for (name, needs) in &split.prefetch_map {
        let needs: BTreeSet<_> = needs.iter().collect();
        let modules: Vec<_> = needs
            .into_iter()
            .map(|file| (files[file.as_str()].as_slice(), file.starts_with(OWN)))
            .collect();
        let chunk = merge::merge(&modules).with_context(|| format!("make the chunk of `{name}`"))?;
        chunks.insert(name.clone(), chunk);
    }
    let shared: Vec<_> = files
        .iter()
        .filter(|(file, _)| !file.starts_with(OWN))
        .map(|(_, bytes)| bytes.as_slice())
        .collect();
    let shell = std::fs::read(&shell).with_context(|| format!("read {}", shell.display()))?;
    Ok(Parts {
        shell: merge::with_data(&shell, &shared)?,
        chunks,
    })
}
