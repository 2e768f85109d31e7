//! Processes as the system shows them: signals, who is alive, whose child is whose.

use std::fs;

/// Sends a signal to one process that this test started, directly or through its home.
#[expect(unsafe_code, reason = "the standard library can only kill its own children")]
pub(crate) fn send_signal(pid: u32, signal: i32) {
    let pid = i32::try_from(pid).expect("process ids are positive and small");
    assert!(pid > 1, "{pid} is not a process of a test");
    // SAFETY: kill(2) touches no memory of this process.
    let outcome = unsafe { libc::kill(pid, signal) };
    assert!(
        outcome == 0,
        "signal {signal} to {pid}: {}",
        std::io::Error::last_os_error()
    );
}

/// Whether a process runs. One that ended and was not collected yet does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// The living children of a process.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("the tests run on Linux").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(state, of)| of == parent && !matches!(state, 'Z' | 'X')))
        .collect()
}

/// State and parent. The name in parentheses may hold anything, so fields are counted from its end.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
