//! The files of the UI as the server embeds them: hashed names, Brotli twins, and how much of it is fetched first.
//!
//! Promises: a name below `assets/` carries a hash of the file's content, or of all that name each other; a build whose
//! first load is larger than [`FIRST_LOAD_MAX`] fails, so that it does not grow unseen.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::guests::kilobytes;
use crate::project::write_if_changed;
use crate::steps::say;

/// What a browser may have to fetch until the first page is there, whichever it is: the bound of the design.
pub const FIRST_LOAD_MAX: usize = 450_000;

/// The file that every address answers with.
pub const DOCUMENT: &str = "index.html";

/// What is made, by path below `dist`.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Adds a file under a name that carries its hash, and returns its path below `dist`.
pub fn add_asset(files: &mut Files, name: &str, bytes: Vec<u8>) -> String {
    let path = asset_path(name, fnv1a(&[&bytes]));
    files.insert(path.clone(), bytes);
    path
}

/// Adds scripts that import each other, by names that carry the hash of all; returns their paths. Only what follows a
/// `from` is renamed: the same words name a module to the WASM.
pub fn add_scripts<const N: usize>(files: &mut Files, scripts: [(&str, String); N]) -> [String; N] {
    let texts: Vec<&[u8]> = scripts.iter().map(|(_, text)| text.as_bytes()).collect();
    let hash = fnv1a(&texts);
    let paths = scripts.each_ref().map(|(name, _)| asset_path(name, hash));
    for ((_, text), path) in scripts.iter().zip(&paths) {
        let mut text = text.clone();
        for ((name, _), path) in scripts.iter().zip(&paths) {
            let [before, after] = [name, file_name(path)].map(|name| format!("from \"./{name}\""));
            text = text.replace(&before, &after);
        }
        files.insert(path.clone(), text.into_bytes());
    }
    paths
}

/// Adds a folder's files as they are, with the folders below.
pub fn add_folder(files: &mut Files, folder: &Path, prefix: &str) -> Result<()> {
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

/// The name of an asset among the others: how they call each other.
pub fn file_name(path: &str) -> &str {
    path.trim_start_matches("assets/")
}

/// Adds the Brotli twin of everything; a twin that is hardly smaller, as of a font, is left out.
pub fn compress(files: &mut Files) -> Result<()> {
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
            twins.insert(twin_of(path), twin);
        }
    }
    files.append(&mut twins);
    Ok(())
}

/// Says how large each file is, and what each page makes a browser fetch first; fails where that is too much.
/// `chunks` are the paths by page: one of them is fetched, and everything else.
pub fn report(files: &Files, chunks: &BTreeMap<String, String>) -> Result<()> {
    let sent = |path: &str| {
        let twin = files.get(&twin_of(path)).or_else(|| files.get(path));
        twin.map_or(0, Vec::len)
    };
    let paths = || files.keys().filter(|path| !path.ends_with(TWIN));
    for path in paths() {
        let (of_file, of_twin) = (kilobytes(files[path].len()), kilobytes(sent(path)));
        say(&format!("{path:<44} {of_file:>8.1} KB {of_twin:>8.1} KB sent"));
    }
    let is_chunk = |path: &String| chunks.values().any(|chunk| chunk == path);
    let always: usize = paths()
        .filter(|path| !is_chunk(path))
        .map(|path| sent(path))
        .sum();
    for (page, chunk) in chunks {
        let first = always + sent(chunk);
        let what = format!("first load of {page}");
        say(&format!("{what:<44} {:>11} {:>8.1} KB", "", kilobytes(first)));
        ensure!(
            first <= FIRST_LOAD_MAX,
            "the first load of `{page}` is {first} bytes, must be at most {FIRST_LOAD_MAX}: split or trim what it draws"
        );
    }
    Ok(())
}

/// Makes the folder hold exactly these files.
pub fn install(dist: &Path, files: &Files) -> Result<()> {
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

/// The bytes of a file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}

/// What the name of a Brotli twin ends with.
const TWIN: &str = ".br";

fn twin_of(path: &str) -> String {
    format!("{path}{TWIN}")
}

fn asset_path(name: &str, hash: u64) -> String {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "bin"));
    format!("assets/{stem}-{hash:016x}.{extension}")
}

/// FNV-1a: names need to differ when contents do, nothing more.
fn fnv1a(texts: &[&[u8]]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.iter());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asset_names_carry_a_hash_of_their_content() {
        assert_eq!(fnv1a(&[b""]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(&[b"foo", b"bar"]), 0x8594_4171_f739_67e8);
        let mut files = Files::new();
        let one = add_asset(&mut files, "app.js", b"one".to_vec());
        let two = add_asset(&mut files, "app.js", b"two".to_vec());
        assert!(one.starts_with("assets/app-") && one.ends_with(".js"), "{one}");
        assert_ne!(one, two);
    }

    #[test]
    fn scripts_that_import_each_other_change_their_names_together() {
        let scripts = |b: &str| {
            let mut files = Files::new();
            let a = "from \"./b.js\"; \"./b.js\"".to_owned();
            let paths = add_scripts(
                &mut files,
                [("a.js", a), ("b.js", format!("from \"./a.js\"; {b}"))],
            );
            (paths, files)
        };
        let ([a, b], files) = scripts("1");
        let ([changed, _], _) = scripts("2");
        assert_ne!(a, changed);
        let text = |path: &str| String::from_utf8(files[path].clone()).unwrap();
        assert_eq!(text(&a), format!("from \"./{}\"; \"./b.js\"", file_name(&b)));
        assert_eq!(text(&b), format!("from \"./{}\"; 1", file_name(&a)));
    }

    #[test]
    fn a_first_load_beyond_its_bound_fails() {
        let chunks = BTreeMap::from([
            ("map".to_owned(), "m".to_owned()),
            ("learn".to_owned(), "l".to_owned()),
        ]);
        let mut files = Files::from([
            ("shell".to_owned(), vec![0; FIRST_LOAD_MAX - 1_000]),
            ("m".to_owned(), vec![0; 1_000]),
            ("l".to_owned(), vec![0; 1_000]),
        ]);
        report(&files, &chunks).unwrap();
        files.insert("l".to_owned(), vec![0; 1_001]);
        let error = report(&files, &chunks).unwrap_err().to_string();
        assert!(error.contains("`learn`"), "{error}");
        files.insert("l.br".to_owned(), vec![0; 900]);
        report(&files, &chunks).unwrap();
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
