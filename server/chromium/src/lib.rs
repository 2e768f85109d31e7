//! `Chromium`: a headless browser of our own, with a profile of its own, for the browser's tests and benchmarks.
//!
//! Promises: it is `$CHROME`, else the first of the usual names on `PATH`; it reaches no network but loopback; it is
//! gone, with its profile, when this is dropped. What it wrote to its log is told when it does not start. It serves
//! tests: what cannot go on panics and says why.
//! Not here: what is done in a page (`page.rs`).

mod connection;
mod page;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use self::connection::Connection;
pub use self::page::{Page, Theme};

/// Far beyond what anything here takes, even on a loaded machine.
pub const WATCHDOG: Duration = Duration::from_secs(120);

const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

const FLAGS: [&str; 11] = [
    "--headless",
    // Tests run as root in containers, where the sandbox cannot be set up.
    "--no-sandbox",
    "--disable-gpu",
    // Containers have a small `/dev/shm`.
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
];

/// Lines of the log that are kept for the message of a failure.
const LOG_LINES: usize = 20;

type Log = Arc<Mutex<VecDeque<String>>>;

/// The browser.
pub struct Chromium {
    process: Child,
    connection: Connection,
    /// `ws://127.0.0.1:PORT`
    address: String,
    /// Where a page that waits in vain leaves its picture.
    pictures: PathBuf,
    /// Dropped last: the process writes to it.
    _profile: TempDir,
}

impl Chromium {
    /// Starts one; a page of it that waits in vain leaves `failure.png` in the folder.
    pub async fn start(pictures: impl Into<PathBuf>) -> Self {
        let profile = tempfile::Builder::new()
            .prefix("cleave-chromium-")
            .tempdir()
            .expect("a folder for a profile");
        let program = program();
        let mut process = Command::new(&program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start `{}`: {error}", program.display()));
        let log = Log::default();
        let url = read_log(process.stderr.take().expect("its log is piped"), log.clone());
        let url = match tokio::time::timeout(WATCHDOG, url).await {
            Ok(Ok(url)) => url,
            _ => {
                let _ = process.kill();
                let log: Vec<String> = log
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .drain(..)
                    .collect();
                panic!("`{}` did not start:\n{}", program.display(), log.join("\n"));
            }
        };
        let address = url.split("/devtools/").next().unwrap_or_default().to_owned();
        Self {
            process,
            connection: Connection::open(&url).await,
            address,
            pictures: pictures.into(),
            _profile: profile,
        }
    }

    /// Opens a window. Each page has its own, so that none is in the background, where timers are slowed.
    pub async fn open(&mut self) -> Page {
        self.window(None).await
    }

    /// Opens a window that shares nothing with others: no cache, no compiled code, no storage.
    pub async fn open_apart(&mut self) -> Page {
        let context = self.command("Target.createBrowserContext", json!({})).await;
        self.window(context["browserContextId"].as_str()).await
    }

    async fn window(&mut self, context: Option<&str>) -> Page {
        let mut target = json!({ "url": "about:blank", "newWindow": true });
        if let Some(context) = context {
            target["browserContextId"] = json!(context);
        }
        let target = self.command("Target.createTarget", target).await;
        let id = target["targetId"].as_str().unwrap_or_default();
        let url = format!("{}/devtools/page/{id}", self.address);
        Page::attach(&url, self.pictures.clone()).await
    }

    async fn command(&mut self, method: &str, params: Value) -> Value {
        match self.connection.command(method, params).await {
            Ok(result) => result,
            Err(reason) => panic!("{method}: {reason}"),
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Fails only where it ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("CHROME").filter(|named| !named.is_empty()) {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|file| file.is_file());
    found.expect(
        "no Chromium or Chrome: set CHROME to one, put one on PATH, or leave this test out with `--skip browser::`",
    )
}

/// Reads the browser's log to its end, because a full pipe would halt the browser; gives the address that it names.
fn read_log(log: ChildStderr, kept: Log) -> oneshot::Receiver<String> {
    let (found, url) = oneshot::channel();
    let mut found = Some(found);
    let read = move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if let Some(url) = line.strip_prefix("DevTools listening on ")
                && let Some(found) = found.take()
            {
                // Nobody listens any more where the start was given up.
                let _ = found.send(url.trim().to_owned());
            }
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == LOG_LINES {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    };
    std::thread::Builder::new()
        .name("chromium-log".to_owned())
        .spawn(read)
        .expect("a thread for its log");
    url
}
