//! The commands of the examples' READMEs: each is run as it is written, and says what the README shows.
//!
//! Building is left to `cargo xtask build --guests`, whose components are used; `cleave up` is a home on free ports, and
//! every other command is told its address.

use std::path::Path;

use crate::support::{Home, Req, cleave, component};

/// A command of a README with the output that stands below it.
#[derive(Debug)]
struct Shown {
    command: String,
    output: Option<String>,
}

/// The commands of a README, in order.
fn shown(example: &str) -> Vec<Shown> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(example)
        .join("README.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut shown: Vec<Shown> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut block = || {
            lines
                .by_ref()
                .take_while(|line| *line != "```")
                .collect::<Vec<_>>()
        };
        match line {
            "```sh" => {
                let commands = block()
                    .into_iter()
                    .filter(|line| !line.is_empty() && !line.starts_with('#'));
                shown.extend(commands.map(|line| Shown {
                    command: line.to_owned(),
                    output: None,
                }));
            }
            "```text" => {
                let output = block().join("\n");
                shown.last_mut().expect("output stands below its command").output = Some(output);
            }
            _ => {}
        }
    }
    assert!(shown.len() >= 4, "{} commands in {}", shown.len(), path.display());
    shown
}

/// Runs one command; what it said.
fn run(home: &Home, command: &str) -> Option<String> {
    let words = split(command);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        // The home runs already.
        ["cleave", "up", ..] => None,
        ["cargo", "test" | "xtask", ..] => None,
        ["cp", from, "data/handlers/"] => {
            let name = from
                .strip_prefix("target/components/")
                .and_then(|name| name.strip_suffix(".wasm"));
            let file = component(name.expect("a component"));
            let to = home
                .folder()
                .join(file.file_name().expect("a component has a name"));
            std::fs::copy(&file, to).expect("the folder takes a file");
            let stem = file
                .file_stem()
                .and_then(|stem| stem.to_str())
                .expect("a component has a name");
            home.wait_serving(stem);
            None
        }
        ["cleave", "check", files @ ..] => {
            let files = files.iter().map(|file| {
                let name = file
                    .strip_prefix("target/components/")
                    .and_then(|name| name.strip_suffix(".wasm"));
                component(name.expect("a component")).display().to_string()
            });
            let files: Vec<_> = std::iter::once("check".to_owned()).chain(files).collect();
            Some(
                cleave(&files.iter().map(String::as_str).collect::<Vec<_>>())
                    .ok()
                    .stdout,
            )
        }
        ["cleave", rest @ ..] => Some(cleave(&[rest, &["--server", &home.url()]].concat()).ok().stdout),
        ["curl", .., "http://127.0.0.1:8080/"] => {
            Some(home.ingress.send(Req::get("/")).status.as_u16().to_string())
        }
        other => panic!("`{}` is a command that this test does not know", other.join(" ")),
    }
}

/// Words of a shell's line, with single quotes.
fn split(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for c in command.chars() {
        match c {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            c => words.last_mut().expect("there is a word").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Runs them all.
fn hold(example: &str, home: &Home) {
    for Shown { command, output } in shown(example) {
        let said = run(home, &command);
        if let (Some(expected), Some(said)) = (output, said) {
            let tidy = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
            assert_eq!(tidy(&said), tidy(&expected), "{example}: {command}");
        }
    }
}

#[test]
fn hello_is_as_its_readme_says() {
    hold("hello", &Home::with(&[]).start());
}

#[test]
fn chorus_is_as_its_readme_says() {
    hold("chorus", &Home::with(&[]).start());
}

#[test]
fn placement_is_as_its_readme_says() {
    hold("placement", &Home::shop().start());
}
