//! The files of the repository, as the rules see them.
//!
//! Promises: only text that people wrote: no build output, no lock file, no published standard's WIT, no pictures.
//! Code inside `#[cfg(test)] mod … { … }` is known as test code.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose content is built, downloaded, or another's.
const FOLDERS_LEFT_OUT: [&str; 6] = ["target", "data", "dist", "node_modules", "deps", "snapshots"];

/// Hidden folders that are ours.
const HIDDEN_FOLDERS_READ: [&str; 3] = [".ci", ".cargo", ".github"];

const FILES_LEFT_OUT: [&str; 1] = ["Cargo.lock"];

/// Kinds of text files, by extension; files without one are read too, hidden ones are not.
const EXTENSIONS: [&str; 12] = [
    "rs", "toml", "md", "wit", "sql", "css", "html", "js", "svg", "sh", "json", "txt",
];

pub struct Tree {
    pub root: PathBuf,
    pub files: Vec<File>,
}

pub struct File {
    /// From the repository's root, with `/`.
    pub path: String,
    pub lines: Vec<String>,
    /// Per line: is it test code?
    pub test: Vec<bool>,
}

impl Tree {
    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()
            .expect("the repository's root exists");
        let mut files = Vec::new();
        visit(&root, &root, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { root, files }
    }
}

fn visit(root: &Path, folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository can be listed") {
        let path = entry.expect("a folder's entry can be read").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            let hidden = name.starts_with('.') && !HIDDEN_FOLDERS_READ.contains(&name.as_str());
            if !hidden && !FOLDERS_LEFT_OUT.contains(&name.as_str()) {
                visit(root, &path, files);
            }
        } else if is_read(&path, &name)
            && let Ok(text) = fs::read_to_string(&path)
        {
            let relative = path.strip_prefix(root).expect("a visited file is below the root");
            files.push(File::new(relative.to_string_lossy().into_owned(), &text));
        }
    }
}

fn is_read(path: &Path, name: &str) -> bool {
    let known = path
        .extension()
        .and_then(OsStr::to_str)
        .is_none_or(|extension| EXTENSIONS.contains(&extension));
    known && !name.starts_with('.') && !FILES_LEFT_OUT.contains(&name)
}

impl File {
    pub fn new(path: String, text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let test = if is_test_file(&path) {
            vec![true; lines.len()]
        } else {
            test_lines(&lines)
        };
        Self { path, lines, test }
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub fn is_test_file(&self) -> bool {
        is_test_file(&self.path)
    }

    /// Lines of production code with their numbers, comments blanked.
    pub fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines
            .iter()
            .zip(&self.test)
            .enumerate()
            .filter(|(_, (_, test))| !**test)
            .map(|(index, (line, _))| {
                let code = if line.trim_start().starts_with("//") {
                    ""
                } else {
                    line.split(" // ").next().unwrap_or("")
                };
                (index + 1, code)
            })
    }
}

/// `foo/tests.rs`, `foo/testing.rs` (what several test modules share), and everything below a folder `tests`.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("/testing.rs") || path.contains("/tests/")
}

/// Marks what stands below `#[cfg(test)]`: up to the closing brace in the same column, or to the next `;`.
fn test_lines(lines: &[String]) -> Vec<bool> {
    let mut marks = vec![false; lines.len()];
    let mut index = 0;
    while index < lines.len() {
        let line = &lines[index];
        if line.trim() != "#[cfg(test)]" {
            index += 1;
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let end = end_of_item(lines, index + 1, indent);
        marks[index..=end].fill(true);
        index = end + 1;
    }
    marks
}

fn end_of_item(lines: &[String], start: usize, indent: usize) -> usize {
    let mut opened = false;
    for (index, line) in lines.iter().enumerate().skip(start) {
        let code = line.trim();
        if !opened && code.ends_with(';') {
            return index;
        }
        opened |= code.ends_with('{');
        let same_column = line.len() - line.trim_start().len() == indent;
        if opened && same_column && code.starts_with('}') {
            return index;
        }
    }
    lines.len() - 1
}

#[test]
fn test_code_is_told_from_production_code() {
    let text = "//! Head.\nuse a;\n#[cfg(test)]\nmod tests;\nfn f() {}\n#[cfg(test)]\nmod more {\n    fn g() {\n    }\n}\nfn h() {} // tail\n";
    let file = File::new("server/src/x.rs".into(), text);
    let lines: Vec<(usize, &str)> = file.production().collect();
    assert_eq!(
        lines,
        [(1, ""), (2, "use a;"), (5, "fn f() {}"), (11, "fn h() {}")]
    );
}
