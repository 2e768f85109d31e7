//! `Process`: a server that is measured, as a process of its own, in a directory that the benchmark made.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running server; ended when dropped.
pub struct Process {
    child: Child,
    /// What each of its doors is called, and where it is: `http://127.0.0.1:1234`.
    doors: Vec<(String, String)>,
}

impl Process {
    /// `cleave up` with the directory's `cleave.toml`; returns when it has told where these doors are.
    pub fn cleave(directory: &Path, doors: &[&str]) -> Self {
        let mut child = Command::new(program("cleave"))
            .current_dir(directory)
            .args(["up", "--ui", "127.0.0.1:0", "--ingress", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("home starts");
        let said = child.stderr.take().expect("its messages are piped");
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let mut told: Vec<(String, String)> = Vec::new();
        while let Some(missing) = doors
            .iter()
            .find(|door| told.iter().all(|(name, _)| name != **door))
        {
            let line = lines.next();
            let line = line.unwrap_or_else(|| panic!("home ended before it said where `{missing}` is"));
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["cleave:", name, url] = words.as_slice()
                && url.starts_with("http://")
            {
                told.push(((*name).to_owned(), (*url).to_owned()));
            }
        }
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, doors: told }
    }

    /// Another server that was started, and where it is.
    pub fn of(child: Child, door: &str, url: String) -> Self {
        Self {
            child,
            doors: vec![(door.to_owned(), url)],
        }
    }

    /// Ends it, and waits until it has.
    pub fn stop(&mut self) {
        // Both fail only where it ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Where one of its doors is.
    pub fn url(&self, door: &str) -> &str {
        let found = self.doors.iter().find(|(name, _)| name == door);
        found.map_or_else(|| panic!("no door `{door}` was waited for"), |(_, url)| url)
    }

    /// CPU time of its threads so far.
    pub fn cpu_ns(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|line| line.split(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Resident memory, in MB.
    pub fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: f64 = resident
            .and_then(|text| text.trim().strip_suffix("kB")?.trim().parse().ok())
            .expect("its resident memory");
        kilobytes * 1_024.0 / 1e6
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Copies the built components into a home's folder of handlers.
pub fn lend_components(directory: &Path) {
    let folder = directory.join("data/handlers");
    std::fs::create_dir_all(&folder).expect("a folder for the handlers");
    let components =
        std::env::var_os("CLEAVE_COMPONENTS").expect("`cargo xtask bench` says where components are");
    for entry in std::fs::read_dir(components).expect("built components").flatten() {
        let file = entry.path();
        if file.extension().is_some_and(|extension| extension == "wasm") {
            std::fs::copy(&file, folder.join(entry.file_name())).expect("a copy");
        }
    }
}

/// A program that was built beside this one: `cargo bench` leaves this one in `deps`.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    own.ancestors().nth(2).expect("a target directory").join(name)
}
