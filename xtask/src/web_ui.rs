//! The web UI: from the package `web-ui` to the files that the server embeds.
//!
//! Promises: `web-ui/dist` holds `index.html` and `assets/`, whose names carry a hash of their content, so that a
//! browser may keep them for ever; each file has a Brotli twin (`.br`); pages come in chunks beside a shell, and no first
//! load is larger than its bound; unchanged files are not written, and files no longer made are removed.
//! Not here: serving them, which is the server's `http/assets.rs`.

mod assets;
mod document;
mod merge;
mod split;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use wasm_bindgen_cli_support::Bindgen;

use self::assets::{DOCUMENT, Files, add_asset, add_folder, add_scripts, file_name, read};
use self::split::LOADER;
use crate::command;
use crate::project::Project;
use crate::wasm_std::{TARGET, WasmStd};

pub const PACKAGE: &str = "web-ui";

/// The profile in the root Cargo.toml that the UI is built with.
pub const PROFILE: &str = "web";

/// The script that `wasm-bindgen` writes.
const APP: &str = "app.js";

/// Builds the UI into `web-ui/dist`.
pub fn build(project: &Project, wasm_std: &WasmStd) -> Result<()> {
    let module = compile(project, wasm_std)?;
    let parts = split::split(&module, &project.target.join("wasm/web-ui-parts"))?;
    let glue = project.target.join("wasm/web-ui");
    bind(parts.shell, &glue)?;
    let source = project.root.join(PACKAGE);
    let mut files = Files::new();
    let chunks = parts.chunks.into_iter().map(|(name, bytes)| {
        let path = add_asset(&mut files, &format!("{name}.wasm"), bytes);
        (name, path)
    });
    let chunks: BTreeMap<String, String> = chunks.collect();
    assemble(&mut files, &source, &glue, &chunks)?;
    assets::compress(&mut files)?;
    assets::report(&files, &chunks)?;
    assets::install(&source.join("dist"), &files)
}

/// Package to core module.
fn compile(project: &Project, wasm_std: &WasmStd) -> Result<PathBuf> {
    let packages = project.packages()?;
    if !packages.iter().any(|package| package.name == PACKAGE) {
        bail!("the workspace has no package `{PACKAGE}`");
    }
    let mut cargo = wasm_std.ui_cargo(project);
    command::run(
        cargo
            .args([
                "rustc",
                "--lib",
                "--profile",
                PROFILE,
                "--target",
                TARGET,
                "--package",
                PACKAGE,
                "--",
            ])
            .args(split::LINK_ARGS),
    )?;
    let built = project.target.join("wasm").join(TARGET).join(PROFILE);
    // A binary keeps the package's name, a library has `_` in it.
    let module = [
        format!("{PACKAGE}.wasm"),
        format!("{}.wasm", PACKAGE.replace('-', "_")),
    ];
    module
        .iter()
        .map(|name| built.join(name))
        .find(|path| path.is_file())
        .context("find the built web UI")
}

/// The shell to a module with its JavaScript side: `app.js`, `app_bg.wasm`, `snippets/`.
fn bind(shell: Vec<u8>, glue: &Path) -> Result<()> {
    if glue.exists() {
        std::fs::remove_dir_all(glue).with_context(|| format!("empty {}", glue.display()))?;
    }
    let mut bindgen = Bindgen::new();
    let bindgen = bindgen
        .input_bytes("app", shell)
        .out_name("app")
        .typescript(false)
        .omit_default_module_path(true);
    let bindgen = bindgen
        .web(true)?
        // Chunks find the shell's table by its export.
        .keep_lld_exports(true)
        .remove_name_section(true)
        .remove_producers_section(true);
    bindgen
        .generate(glue)
        .map_err(|error| anyhow!("bind the web UI to JavaScript: {error:#}"))
}

/// Scripts, styles, fonts and the document, beside the chunks.
fn assemble(files: &mut Files, source: &Path, glue: &Path, chunks: &BTreeMap<String, String>) -> Result<()> {
    let wasm = add_asset(files, "app.wasm", read(&glue.join("app_bg.wasm"))?);
    let scripts = [
        (APP, read_text(&glue.join(APP))?),
        (LOADER, with_chunks(&read_text(&source.join(LOADER))?, chunks)?),
    ];
    let scripts = add_scripts(files, scripts);
    add_folder(files, &glue.join("snippets"), "assets/snippets")?;
    let [app, loader] = &scripts;
    let boot = add_asset(files, "boot.js", boot(app, loader, &wasm).into_bytes());
    add_folder(files, &source.join("public"), "")?;
    let template = read_text(&source.join(DOCUMENT))?;
    let page = document::link_assets(&template, source, files)?;
    let page = document::with_boot(&page, &boot, &scripts, &wasm)?;
    files.insert(DOCUMENT.into(), page.into_bytes());
    Ok(())
}

/// The few lines that start the shell, and with it the chunk of the page: in a file, because inline scripts are
/// forbidden.
fn boot(app: &str, loader: &str, wasm: &str) -> String {
    let [app, loader, wasm] = [app, loader, wasm].map(file_name);
    format!(
        "import init from \"./{app}\";\nimport {{ ahead }} from \"./{loader}\";\nahead(location.pathname);\n\
         await init({{ module_or_path: new URL(\"./{wasm}\", import.meta.url) }});\n"
    )
}

/// The loader with the files of the chunks, and the functions that the shell calls (`wasm_split` makes up their names).
fn with_chunks(loader: &str, chunks: &BTreeMap<String, String>) -> Result<String> {
    const NONE_YET: &str = "const CHUNKS = {};";
    let (before, after) = loader
        .split_once(NONE_YET)
        .with_context(|| format!("find `{NONE_YET}` in web-ui/{LOADER}"))?;
    let named = chunks
        .iter()
        .map(|(name, path)| format!("{name}: \"./{}\"", file_name(path)));
    let named: Vec<String> = named.collect();
    let functions = chunks
        .keys()
        .map(|name| format!("export const __wasm_split_load_{name} = loader(\"{name}\");\n"));
    let functions: String = functions.collect();
    Ok(format!(
        "{before}const CHUNKS = {{ {} }};{after}{functions}",
        named.join(", ")
    ))
}

fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).with_context(|| format!("read {} as UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_gets_its_chunks_and_a_function_for_each() {
        let chunks = BTreeMap::from([("map".to_owned(), "assets/map-1.wasm".to_owned())]);
        assert_eq!(
            with_chunks("a\nconst CHUNKS = {};\nb\n", &chunks).unwrap(),
            "a\nconst CHUNKS = { map: \"./map-1.wasm\" };\nb\nexport const __wasm_split_load_map = loader(\"map\");\n"
        );
        assert!(with_chunks("", &chunks).is_err());
    }

    #[test]
    fn the_boot_names_its_files_beside_itself() {
        let text = boot("assets/app-1.js", "assets/loader-2.js", "assets/app-3.wasm");
        for name in ["\"./app-1.js\"", "\"./loader-2.js\"", "\"./app-3.wasm\""] {
            assert!(text.contains(name), "{text}");
        }
    }
}
