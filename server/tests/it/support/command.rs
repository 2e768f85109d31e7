//! The command line, run to its end.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::wait::WATCHDOG;

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(
            self.code,
            Some(0),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }

    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }
}

/// Runs `cleave` with these arguments, in the repository's root.
pub(crate) fn cleave(arguments: &[&str]) -> Ran {
    cleave_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), arguments)
}

/// Runs `cleave` in a directory. It is killed if it outlives the watchdog.
pub(crate) fn cleave_in(directory: &Path, arguments: &[&str]) -> Ran {
    let child = Command::new(env!("CARGO_BIN_EXE_cleave"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary under test starts");
    let pid = child.id();
    let (done, over) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        let began = Instant::now();
        if over.recv_timeout(WATCHDOG) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            super::process::send_signal(pid, libc::SIGKILL);
            panic!("the command ran {:?} and was killed", began.elapsed());
        }
    });
    let output = child.wait_with_output().expect("its output can be read");
    drop(done);
    let in_time = watchdog.join().is_ok();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ran = Ran {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    };
    assert!(in_time, "`cleave {}` hung: {ran:?}", arguments.join(" "));
    ran
}
