//! Other programs: run them, read them, find them.
//!
//! Promises: nothing reads standard input, so nothing can wait for an answer that nobody gives; a failure names the
//! command line. Programs see the caller's environment without what `cargo run` put there for this program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A command that reads no input and does not inherit the library path that `cargo run` sets: another toolchain's
/// programs must not load this toolchain's libraries.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null()).env_remove("LD_LIBRARY_PATH");
    command
}

/// Runs to the end with output on the terminal; fails when the program does.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs to the end and returns what it printed on standard output.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("start `{}`", shown(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({}): {}",
            shown(command),
            output.status,
            last_line(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("read the output of `{}`", shown(command)))
}

/// Runs with output kept, killed when it takes longer than `limit`.
pub fn try_within(command: &mut Command, limit: Duration) -> Result<Output> {
    const POLL: Duration = Duration::from_millis(50);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start `{}`", shown(command)))?;
    let deadline = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!("`{}` did not end within {} s", shown(command), limit.as_secs());
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "std has no wait with a deadline; this polls a child under one"
        )]
        std::thread::sleep(POLL);
    }
    Ok(child.wait_with_output()?)
}

/// The last line that is not empty: where programs say why they failed.
pub fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("no message")
        .trim()
        .to_owned()
}

/// The first file of that name in a directory of `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The command line as a person would type it.
pub fn shown(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_name_the_command_line() {
        let error = run(program("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
        let error =
            read(program("sh").args(["-c", "echo first >&2; echo no such thing >&2; exit 1"])).unwrap_err();
        assert!(error.to_string().ends_with("no such thing"), "{error}");
    }

    #[test]
    fn a_program_that_hangs_is_ended_at_its_limit() {
        let error = try_within(program("sleep").arg("600"), Duration::from_millis(100))
            .unwrap_err()
            .to_string();
        assert!(error.contains("did not end within"), "{error}");
    }

    #[test]
    fn only_executable_files_are_found_on_the_path() {
        assert!(on_path("sh").is_some());
        assert_eq!(on_path("no-program-has-this-name"), None);
    }
}
