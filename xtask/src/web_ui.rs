//! The web UI: from the package `web-ui` to the files that the server embeds.
//!
//! Promises: `web-ui/dist` holds `index.html` and `assets/`, whose names carry a hash of their content, so that a
//! browser may keep them for ever; each file has a Brotli twin (`.br`); no script and no style is inline, as the
//! content security policy demands; unchanged files are not written, and files no longer made are removed.
//! Not here: serving them, which is the server's `http/assets.rs`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::command;
use crate::guests::kilobytes;
use crate::project::{Project, write_if_changed};
use crate::steps::say;
use crate::wasm_std::{TARGET, WasmStd};

pub const PACKAGE: &str = "web-ui";

/// The profile in the root Cargo.toml that the UI is built with.
pub const PROFILE: &str = "web";

/// What is made, by path below `dist`.
type Files = BTreeMap<String, Vec<u8>>;

/// Builds the UI into `web-ui/dist`.
pub fn build(project: &Project, wasm_std: &WasmStd) -> Result<()> {
    let module = compile(project, wasm_std)?;
    let glue = project.target.join("wasm/web-ui");
    bind(&module, &glue)?;
    let wasm = glue.join("app_bg.wasm");
    optimize(&wasm)?;
    let source = project.root.join(PACKAGE);
    let mut files = assemble(&source, &glue)?;
    report(&files);
    compress(&mut files)?;
    install(&source.join("dist"), &files)
}

/// Package to core module.
fn compile(project: &Project, wasm_std: &WasmStd) -> Result<PathBuf> {
    let packages = project.packages()?;
    if !packages.iter().any(|package| package.name == PACKAGE) {
        bail!("the workspace has no package `{PACKAGE}`");
    }
    let mut cargo = wasm_std.ui_cargo(project);
    command::run(cargo.args([
        "build",
        "--profile",
        PROFILE,
        "--target",
        TARGET,
        "--package",
        PACKAGE,
    ]))?;
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

/// Core module to a module with its JavaScript side: `app.js`, `app_bg.wasm`, `snippets/`.
fn bind(module: &Path, glue: &Path) -> Result<()> {
    if glue.exists() {
        std::fs::remove_dir_all(glue).with_context(|| format!("empty {}", glue.display()))?;
    }
    let mut bindgen = Bindgen::new();
    let bindgen = bindgen
        .input_path(module)
        .out_name("app")
        .typescript(false)
        .omit_default_module_path(true);
    let bindgen = bindgen
        .web(true)?
        .remove_name_section(true)
        .remove_producers_section(true);
    bindgen
        .generate(glue)
        .map_err(|error| anyhow!("bind the web UI to JavaScript: {error:#}"))
}

/// Makes the module smaller where `wasm-opt` (npm: binaryen) is on PATH; the UI works without.
fn optimize(wasm: &Path) -> Result<()> {
    let Some(wasm_opt) = command::on_path("wasm-opt") else {
        return Ok(());
    };
    command::run(
        command::program(wasm_opt)
            .args(["-Oz", "--all-features"])
            .arg(wasm)
            .arg("-o")
            .arg(wasm),
    )
}

fn assemble(source: &Path, glue: &Path) -> Result<Files> {
    let mut files = Files::new();
    let wasm = add_asset(&mut files, "app.wasm", read(&glue.join("app_bg.wasm"))?);
    let app = add_asset(&mut files, "app.js", read(&glue.join("app.js"))?);
    add_folder(&mut files, &glue.join("snippets"), "assets/snippets")?;
    let boot = add_asset(&mut files, "boot.js", boot(&app, &wasm).into_bytes());
    add_folder(&mut files, &source.join("public"), "")?;
    let template =
        String::from_utf8(read(&source.join("index.html"))?).context("read web-ui/index.html as UTF-8")?;
    let page = link_assets(&template, source, &mut files)?;
    files.insert(
        "index.html".into(),
        with_boot(&page, &boot, &app, &wasm)?.into_bytes(),
    );
    Ok(files)
}

/// The few lines that start the module: in a file, because inline scripts are forbidden.
fn boot(app: &str, wasm: &str) -> String {
    let (app, wasm) = (
        app.trim_start_matches("assets/"),
        wasm.trim_start_matches("assets/"),
    );
    format!(
        "import init from \"./{app}\";\nawait init({{ module_or_path: new URL(\"./{wasm}\", import.meta.url) }});\n"
    )
}

/// Adds a file under a name that carries its hash, and returns its path below `dist`.
fn add_asset(files: &mut Files, name: &str, bytes: Vec<u8>) -> String {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "bin"));
    let path = format!("assets/{stem}-{:016x}.{extension}", fnv1a(&bytes));
    files.insert(path.clone(), bytes);
    path
}

/// Adds a folder's files as they are, with the folders below.
fn add_folder(files: &mut Files, folder: &Path, prefix: &str) -> Result<()> {
    let Ok(entries) = folder.read_dir() else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .context("read a file's name")?
            .to_string_lossy()
            .into_owned();
        let inside = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        };
        if path.is_dir() {
            add_folder(files, &path, &inside)?;
        } else {
            files.insert(inside, read(&path)?);
        }
    }
    Ok(())
}

/// Replaces each `href` and `src` that names a file beside the template by that file's asset.
fn link_assets(template: &str, source: &Path, files: &mut Files) -> Result<String> {
    let mut page = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, value, after)) = next_link(rest) {
        page.push_str(before);
        let file = source.join(value.trim_start_matches('/'));
        if !value.is_empty() && file.is_file() {
            let name = file
                .file_name()
                .context("read a linked file's name")?
                .to_string_lossy()
                .into_owned();
            page.push('/');
            let bytes = match name.ends_with(".css") {
                true => link_fonts(&file, source, files)?,
                false => read(&file)?,
            };
            page.push_str(&add_asset(files, &name, bytes));
        } else {
            page.push_str(value);
        }
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}

/// A style with each `url("/…")` that names a file of ours replaced by that file's asset.
fn link_fonts(style: &Path, source: &Path, files: &mut Files) -> Result<Vec<u8>> {
    const OPENS: &str = "url(\"/";
    let text =
        String::from_utf8(read(style)?).with_context(|| format!("read {} as UTF-8", style.display()))?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(OPENS) {
        let (path, after) = after
            .split_once('"')
            .with_context(|| format!("find the end of a `url` in {}", style.display()))?;
        let name = path.rsplit('/').next().unwrap_or(path);
        let asset = add_asset(files, name, read(&source.join(path))?);
        out.push_str(before);
        out.push_str(&format!("{OPENS}{asset}\""));
        rest = after;
    }
    out.push_str(rest);
    Ok(out.into_bytes())
}

/// Splits at the next link: text up to and with its opening quote, the link, and the rest from its closing quote.
fn next_link(text: &str) -> Option<(&str, &str, &str)> {
    let starts = [" href=\"", " src=\""].map(|attribute| text.find(attribute).map(|at| at + attribute.len()));
    let start = starts.into_iter().flatten().min()?;
    let length = text[start..].find('"')?;
    Some((
        &text[..start],
        &text[start..start + length],
        &text[start + length..],
    ))
}

/// Links the module before `</head>`, and lets the browser fetch all of it at once.
fn with_boot(page: &str, boot: &str, app: &str, wasm: &str) -> Result<String> {
    let (head, body) = page
        .split_once("</head>")
        .context("find `</head>` in web-ui/index.html")?;
    Ok(format!(
        "{head}<link rel=\"preload\" href=\"/{wasm}\" as=\"fetch\" type=\"application/wasm\" crossorigin>\n\
         <link rel=\"modulepreload\" href=\"/{app}\">\n\
         <script type=\"module\" src=\"/{boot}\"></script>\n</head>{body}"
    ))
}

/// Adds the Brotli twin of everything; a twin that is hardly smaller, as of a font, is left out.
fn compress(files: &mut Files) -> Result<()> {
    const QUALITY: u32 = 11;
    const WINDOW_BITS: u32 = 22;
    const BUFFER_BYTES: usize = 64 * 1024;
    let mut twins = Files::new();
    for (path, bytes) in files.iter() {
        let mut twin = Vec::new();
        let mut writer = brotli::CompressorWriter::new(&mut twin, BUFFER_BYTES, QUALITY, WINDOW_BITS);
        writer
            .write_all(bytes)
            .with_context(|| format!("compress {path}"))?;
        drop(writer);
        if twin.len() + twin.len() / 20 < bytes.len() {
            twins.insert(format!("{path}.br"), twin);
        }
    }
    let total: usize = twins.values().map(Vec::len).sum();
    say(&format!(
        "{:<40} {:>7.1} KB",
        "all of it as Brotli",
        kilobytes(total)
    ));
    files.append(&mut twins);
    Ok(())
}

fn report(files: &Files) {
    for (path, bytes) in files {
        say(&format!("{path:<40} {:>7.1} KB", kilobytes(bytes.len())));
    }
}

/// Makes the folder hold exactly these files.
fn install(dist: &Path, files: &Files) -> Result<()> {
    for (path, bytes) in files {
        write_if_changed(&dist.join(path), bytes)?;
    }
    let mut present = Files::new();
    add_folder(&mut present, dist, "")?;
    for path in present.keys().filter(|path| !files.contains_key(*path)) {
        std::fs::remove_file(dist.join(path)).with_context(|| format!("remove web-ui/dist/{path}"))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}

/// FNV-1a: names need to differ when contents do, nothing more.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asset_names_carry_a_hash_of_their_content() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
        let mut files = Files::new();
        let one = add_asset(&mut files, "app.js", b"one".to_vec());
        let two = add_asset(&mut files, "app.js", b"two".to_vec());
        assert!(one.starts_with("assets/app-") && one.ends_with(".js"), "{one}");
        assert_ne!(one, two);
    }

    #[test]
    fn links_to_files_become_assets_and_other_links_stay() {
        let source = std::env::temp_dir().join(format!("xtask-web-ui-{}", std::process::id()));
        std::fs::create_dir_all(source.join("style")).unwrap();
        std::fs::write(source.join("style/base.css"), "body{}").unwrap();
        let template =
            "<link rel=\"stylesheet\" href=\"/style/base.css\"><a href=\"/traces\">x</a><img src=\"\">";
        let mut files = Files::new();
        let page = link_assets(template, &source, &mut files).unwrap();
        std::fs::remove_dir_all(&source).unwrap();
        let asset = files.keys().next().unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(
            page,
            format!("<link rel=\"stylesheet\" href=\"/{asset}\"><a href=\"/traces\">x</a><img src=\"\">")
        );
    }

    #[test]
    fn a_font_has_one_asset_wherever_it_is_linked() {
        let source = std::env::temp_dir().join(format!("xtask-fonts-{}", std::process::id()));
        std::fs::create_dir_all(&source).unwrap();
        std::fs::write(source.join("a.woff2"), [1, 2]).unwrap();
        std::fs::write(
            source.join("a.css"),
            "x { src: url(\"/a.woff2\") y; b: url(data:z) }",
        )
        .unwrap();
        let template = "<link rel=\"preload\" href=\"/a.woff2\"><link href=\"/a.css\">";
        let mut files = Files::new();
        let page = link_assets(template, &source, &mut files).unwrap();
        std::fs::write(source.join("a.css"), "x { src: url(\"/gone.woff2\") }").unwrap();
        let broken = link_assets(template, &source, &mut Files::new());
        std::fs::remove_dir_all(&source).unwrap();
        // One of each: their order is that of their hashes.
        assert_eq!(files.len(), 2);
        let of = |extension: &str| files.keys().find(|name| name.ends_with(extension)).unwrap();
        let (style, font) = (of(".css"), of(".woff2"));
        assert!(page.contains(font) && page.contains(style), "{page}");
        let style = String::from_utf8(files[style].clone()).unwrap();
        assert_eq!(style, format!("x {{ src: url(\"/{font}\") y; b: url(data:z) }}"));
        assert!(broken.is_err(), "a font that is not there is no silent gap");
    }

    #[test]
    fn the_page_starts_the_module_without_an_inline_script() {
        let page = with_boot(
            "<head><title>t</title></head><body></body>",
            "assets/b.js",
            "assets/a.js",
            "assets/a.wasm",
        )
        .unwrap();
        assert!(
            page.contains("<script type=\"module\" src=\"/assets/b.js\"></script>\n</head><body>"),
            "{page}"
        );
        assert!(with_boot("<body></body>", "b", "a", "w").is_err());
        assert_eq!(
            boot("assets/app-1.js", "assets/app-2.wasm"),
            "import init from \"./app-1.js\";\nawait init({ module_or_path: new URL(\"./app-2.wasm\", import.meta.url) });\n"
        );
    }

    #[test]
    fn what_is_no_longer_made_is_removed() {
        let dist = std::env::temp_dir().join(format!("xtask-dist-{}", std::process::id()));
        install(
            &dist,
            &Files::from([
                ("assets/a.js".to_owned(), vec![1]),
                ("index.html".to_owned(), vec![2]),
            ]),
        )
        .unwrap();
        install(&dist, &Files::from([("index.html".to_owned(), vec![3])])).unwrap();
        let mut present = Files::new();
        add_folder(&mut present, &dist, "").unwrap();
        std::fs::remove_dir_all(&dist).unwrap();
        assert_eq!(present, Files::from([("index.html".to_owned(), vec![3])]));
    }

    #[test]
    fn twins_are_made_where_they_are_smaller() {
        let mut files = Files::from([
            ("a.css".to_owned(), vec![b'a'; 1000]),
            ("tiny".to_owned(), vec![7]),
        ]);
        compress(&mut files).unwrap();
        assert_eq!(
            files.keys().map(String::as_str).collect::<Vec<_>>(),
            ["a.css", "a.css.br", "tiny"]
        );
    }
}
