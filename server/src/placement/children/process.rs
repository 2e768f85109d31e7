//! `Process`: one run of a child: spawned, told its birth, listened to, ended.
//!
//! Its stdin stays open as long as it shall run. It has a process group of its own, so that Ctrl-C in the terminal
//! reaches home alone, which then drains it. Its stderr goes line by line to the log under the node's name; lines
//! beyond the limit are cut. Dropping a process kills it.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::NodeName;
use protocol::control::Birth;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::{Children, Error};
use crate::placement::child;

/// Longer lines of a child's output are cut.
const LINE_BYTES_MAX: usize = 8 << 10;
/// The last line before its death is quoted up to here.
const LAST_LINE_CHARS_MAX: usize = 300;
/// After a process ended its last lines arrive at once, unless something it started holds the pipe.
const LAST_LINES_LIMIT: Duration = Duration::from_millis(500);

/// One run of a child.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) address: SocketAddr,
    child: tokio::process::Child,
    /// Open for as long as the child shall run.
    stdin: Option<ChildStdin>,
    output: Output,
}

/// What a child says on stderr.
#[derive(Debug)]
struct Output {
    last_line: Arc<Mutex<String>>,
    reader: Option<JoinHandle<Option<()>>>,
}

impl Process {
    /// Spawns a process and waits until it says where it listens.
    pub(super) async fn start(children: &Children, birth: &Birth) -> Result<Self, Error> {
        let mut child = spawn(children)?;
        let stderr = child.stderr.take().map(BufReader::new);
        let mut output = Output::follow(children, &birth.node, stderr);
        let limit = children.pace.announce_limit;
        let greeted = tokio::time::timeout(limit, greet(&mut child, birth)).await;
        match greeted {
            Ok(Ok((stdin, stdout, address))) => {
                children.tasks.spawn("child stdout", ignore(stdout));
                Ok(Self {
                    pid: child.id().unwrap_or_default(),
                    address,
                    child,
                    stdin: Some(stdin),
                    output,
                })
            }
            // Stdout ended: the process is about to.
            Ok(Err(Error::EndedEarly { .. })) => {
                let status = tokio::time::timeout(LAST_LINES_LIMIT, child.wait()).await;
                let status = status.ok().and_then(Result::ok);
                Err(Error::EndedEarly {
                    reason: output.reason(status).await,
                })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Silent { limit }),
        }
    }

    /// Waits until it ends by itself; says how. Can be dropped and called again.
    pub(super) async fn exited(&mut self) -> String {
        let status = self.child.wait().await.ok();
        self.output.reason(status).await
    }

    /// Kills it; its end is still to be waited for.
    pub(super) fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.start_kill();
    }

    /// Waits for its end, then ends its stdin, then kills it; says how it ended.
    pub(super) async fn end(mut self, grace: Duration, kill_after: Duration) -> String {
        if let Ok(reason) = tokio::time::timeout(grace, self.exited()).await {
            return reason;
        }
        drop(self.stdin.take());
        if let Ok(reason) = tokio::time::timeout(kill_after, self.exited()).await {
            return reason;
        }
        // An error means that it has ended just now.
        let _ = self.child.start_kill();
        self.exited().await
    }
}

fn spawn(children: &Children) -> Result<tokio::process::Child, Error> {
    let program = &children.program;
    Command::new(&program.path)
        .args(&program.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Error::Spawn {
            program: program.path.clone(),
            reason: error.to_string(),
        })
}

/// Tells it its birth, hears its address.
async fn greet(
    child: &mut tokio::process::Child,
    birth: &Birth,
) -> Result<(ChildStdin, BufReader<ChildStdout>, SocketAddr), Error> {
    let refuse = |reason: String| Error::Birth { reason };
    let bytes = child::write_birth(birth).map_err(|error| refuse(error.to_string()))?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    let (mut stdin, stdout) = pipes.ok_or_else(|| refuse("it has no pipes".to_owned()))?;
    let told = stdin.write_all(&bytes).await;
    let mut stdout = BufReader::new(stdout);
    let Some(line) = next_line(&mut stdout).await else {
        // That it did not read its birth is only of interest if it lives on.
        return Err(Error::EndedEarly {
            reason: String::new(),
        });
    };
    told.map_err(|error| refuse(error.to_string()))?;
    let address = line
        .trim()
        .parse()
        .map_err(|_| Error::NoAddress { line: cut(&line) })?;
    Ok((stdin, stdout, address))
}

impl Output {
    fn follow(
        children: &Children,
        node: &NodeName,
        stderr: Option<impl AsyncBufRead + Send + Unpin + 'static>,
    ) -> Self {
        let last_line = Arc::new(Mutex::new(String::new()));
        let (last, node) = (Arc::clone(&last_line), node.clone());
        let reader = stderr.map(|mut stderr| {
            children.tasks.spawn("child stderr", async move {
                while let Some(line) = next_line(&mut stderr).await {
                    log(&node, &line);
                    if !line.trim().is_empty() {
                        *last.lock().unwrap_or_else(PoisonError::into_inner) = cut(line.trim());
                    }
                }
            })
        });
        Self { last_line, reader }
    }

    /// How a process ended, with the last thing it said.
    async fn reason(&mut self, status: Option<ExitStatus>) -> String {
        if let Some(reader) = &mut self.reader {
            let _ = tokio::time::timeout(LAST_LINES_LIMIT, reader).await;
        }
        self.reader = None;
        let how = status.map_or_else(|| "its end was not seen".to_owned(), describe);
        let last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_empty() {
            how
        } else {
            format!("{how}, saying `{last}`")
        }
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(libc::SIGKILL)) => "killed (signal 9)".to_owned(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// A child's line at the level that it was written at.
fn log(node: &NodeName, line: &str) {
    let line = line.trim_end();
    let level = line
        .split_whitespace()
        .take(4)
        .find(|word| ["ERROR", "WARN", "DEBUG", "TRACE"].contains(word));
    match level {
        Some("ERROR") => tracing::error!(node.name = %node, "{node}: {line}"),
        Some("WARN") => tracing::warn!(node.name = %node, "{node}: {line}"),
        Some("DEBUG" | "TRACE") => tracing::debug!(node.name = %node, "{node}: {line}"),
        _ => tracing::info!(node.name = %node, "{node}: {line}"),
    }
}

/// Reads on so that the child never waits for a reader.
async fn ignore(mut stdout: BufReader<ChildStdout>) {
    while next_line(&mut stdout).await.is_some() {}
}

/// The next line, cut to the limit; `None` at the end.
async fn next_line(from: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    let mut any = false;
    loop {
        let available = from.fill_buf().await.ok()?;
        if available.is_empty() {
            return any.then(|| String::from_utf8_lossy(&line).into_owned());
        }
        any = true;
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = available
            .get(..end.unwrap_or(available.len()))
            .unwrap_or_default();
        let room = LINE_BYTES_MAX - line.len();
        line.extend(part.iter().take(room));
        let used = part.len() + usize::from(end.is_some());
        from.consume(used);
        if end.is_some() {
            return Some(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

fn cut(line: &str) -> String {
    line.chars().take(LAST_LINE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_to_the_limit_and_the_rest_of_them_is_passed_over() {
        let long = "x".repeat(LINE_BYTES_MAX + 100);
        let text = format!("first\n{long}\n\nlast");
        let mut from = BufReader::with_capacity(64, text.as_bytes());
        assert_eq!(next_line(&mut from).await.as_deref(), Some("first"));
        assert_eq!(next_line(&mut from).await.unwrap().len(), LINE_BYTES_MAX);
        assert_eq!(next_line(&mut from).await.as_deref(), Some(""));
        assert_eq!(next_line(&mut from).await.as_deref(), Some("last"));
        assert_eq!(next_line(&mut from).await, None);
    }
}
