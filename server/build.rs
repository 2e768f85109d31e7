//! Embeds the web UI: lists `web-ui/dist` as constants for `http/assets.rs`.
//!
//! The UI is made by `cargo xtask build --ui`; without it the list is empty and the server says so to whoever asks.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let dist = manifest.join("../web-ui/dist");
    // Cargo runs this again at every build if a path that it watches is missing, and the server would be compiled anew
    // each time. An empty folder, which git does not see, says the same.
    let _ = fs::create_dir_all(&dist);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    collect(&dist, "", &mut files).expect("read web-ui/dist");
    files.sort();
    fs::write(out.join("assets.rs"), constants(&dist, &files)).expect("write the list of the UI's files");
}

/// The paths of all files below a folder, relative to it.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        };
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn constants(dist: &Path, files: &[String]) -> String {
    let include = |path: &str| format!("include_bytes!({:?})", dist.join(path).display().to_string());
    let mut code = String::from("static FILES: &[File] = &[\n");
    for path in files.iter().filter(|path| !path.ends_with(".br")) {
        let twin = format!("{path}.br");
        let brotli = match files.contains(&twin) {
            true => format!("Some({})", include(&twin)),
            false => "None".to_owned(),
        };
        let _ = writeln!(
            code,
            "    File {{ path: {path:?}, bytes: {}, brotli: {brotli} }},",
            include(path)
        );
    }
    code.push_str("];\n");
    code
}
