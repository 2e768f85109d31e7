//! `Home`: the real binary with a data directory of its own, on free ports, with its children.
//!
//! Promises: [`HomeBuilder::start`] returns when the handlers are placed; dropping ends the process at once, and with it
//! its children, whose stdin it held. What one home compiled is lent to all later ones.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use protocol::api::handlers::{Handler, HandlerState};
use protocol::api::nodes::Node;
use protocol::api::placement::{Accepted, PlacementStatus};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{Answer, Client, Req};
use super::components::{SHOP, component};
use super::process::{children_of, is_alive, send_signal};
use super::slots::Slot;
use super::visitor::Visitor;
use super::wait::{WATCHDOG, wait_for};

/// The shop's rules, with every trace recorded and short pauses between attempts.
pub(crate) const RULES: &str = r#"
[ingress]
root = "frontend"

[traces]
sampling = "all"

[edge."checkout -> shop:email/email"]
via = "queue"
tries = 3
backoff = "20ms"
timeout = "10s"
"#;

/// The rules of homes without the shop, which may not name its handlers.
const RULES_WITHOUT_SHOP: &str = "[traces]\nsampling = \"all\"\n";

/// A home that compiles ten components on a machine that others keep busy.
const START_WATCHDOG: Duration = WATCHDOG.saturating_mul(4);
/// Lines of home's log that a failed test prints.
const TAIL_LINES: usize = 60;

/// A home to be started.
#[derive(Debug)]
pub(crate) struct HomeBuilder {
    rules: String,
    components: Vec<PathBuf>,
    arguments: Vec<String>,
}

/// A home that was started.
#[derive(Debug)]
pub(crate) struct Home {
    directory: TempDir,
    arguments: Vec<String>,
    running: Option<Running>,
    pub(crate) api: Client,
    pub(crate) ingress: Client,
    _slot: Slot,
}

#[derive(Debug)]
struct Running {
    child: Child,
    log: Log,
}

type Log = Arc<Mutex<Vec<String>>>;

impl Home {
    /// The shop's ten handlers under its rules.
    pub(crate) fn shop() -> HomeBuilder {
        Self::with(&SHOP)
    }

    /// These components, under the shop's rules if the handlers that those name are among them.
    pub(crate) fn with(components: &[&str]) -> HomeBuilder {
        let is_shop = ["frontend", "checkout"]
            .iter()
            .all(|name| components.contains(name));
        HomeBuilder {
            rules: if is_shop { RULES } else { RULES_WITHOUT_SHOP }.to_owned(),
            components: components.iter().map(|name| component(name)).collect(),
            arguments: Vec::new(),
        }
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The handlers' folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.data().join("handlers")
    }

    /// Its `cleave.toml`.
    pub(crate) fn rules_file(&self) -> PathBuf {
        self.directory.path().join("cleave.toml")
    }

    /// Copies a component into the folder, as a user does, under a name.
    pub(crate) fn drop_in(&self, name: &str, from: &str) {
        std::fs::copy(component(from), self.folder().join(format!("{name}.wasm")))
            .expect("the folder takes a file");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().expect("home runs").child.id()
    }

    /// The API's address, for `--server`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.api.address())
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::new(&self.ingress)
    }

    #[track_caller]
    pub(crate) fn handlers(&self) -> Vec<Handler> {
        self.api.list("/api/v1/handlers")
    }

    #[track_caller]
    pub(crate) fn nodes(&self) -> Vec<Node> {
        self.api.list("/api/v1/nodes")
    }

    /// A node by its name.
    #[track_caller]
    pub(crate) fn node(&self, name: &str) -> Node {
        let nodes = self.nodes();
        let found = nodes.iter().find(|node| node.name.as_str() == name);
        found
            .cloned()
            .unwrap_or_else(|| panic!("no node `{name}` in {nodes:?}"))
    }

    #[track_caller]
    pub(crate) fn placement(&self) -> PlacementStatus {
        self.api.get("/api/v1/placement")
    }

    /// Waits until a handler stands as wanted, and returns it.
    #[track_caller]
    pub(crate) fn wait_handler(&self, name: &str, what: &str, wanted: impl Fn(&Handler) -> bool) -> Handler {
        wait_for(&format!("`{name}` to be {what}"), || {
            let handlers = self.handlers();
            let found = handlers.into_iter().find(|handler| handler.name.as_str() == name);
            match found {
                Some(handler) if wanted(&handler) => Ok(handler),
                other => Err(format!("{other:?}")),
            }
        })
    }

    /// Waits until a handler serves and is placed.
    #[track_caller]
    pub(crate) fn wait_serving(&self, name: &str) -> Handler {
        self.wait_handler(name, "serving", |handler| {
            handler.state == HandlerState::Serving && !handler.nodes.is_empty()
        })
    }

    /// Waits until the placement of a generation is in force.
    #[track_caller]
    pub(crate) fn wait_placed(&self, generation: u64) -> PlacementStatus {
        wait_for(&format!("placement {generation}"), || {
            let status = self.placement();
            match status.settled && status.actual_generation >= generation {
                true => Ok(status),
                false => Err(format!("{status:?}")),
            }
        })
    }

    /// Asks for a placement and waits until it is in force.
    #[track_caller]
    pub(crate) fn place(&self, placement: &Value) -> PlacementStatus {
        let request = Req::new(Method::PUT, "/api/v1/placement").json(placement);
        let answer = self.api.send(request);
        assert_eq!(answer.status.as_u16(), 202, "{}", answer.text());
        self.wait_placed(answer.expect::<Accepted>().generation)
    }

    #[track_caller]
    pub(crate) fn place_apart(&self) {
        self.place(&json!({"mode": "apart"}));
    }

    /// Calls a function by hand.
    #[track_caller]
    pub(crate) fn call(&self, interface: &str, function: &str, args: &Value) -> Answer {
        self.call_within(interface, function, args, None)
    }

    /// Calls a function by hand, with a limit of its own.
    #[track_caller]
    pub(crate) fn call_within(
        &self,
        interface: &str,
        function: &str,
        args: &Value,
        ms: Option<u64>,
    ) -> Answer {
        let mut body = json!({ "args": args });
        if let Some(ms) = ms {
            body["timeout_ms"] = json!(ms);
        }
        let path = format!("/api/v1/call/{interface}/{function}");
        self.api.send(Req::new(Method::POST, &path).json(&body))
    }

    /// `kill -9`, then waits until the system has taken it away. Its children are told from `/proc` beforehand.
    pub(crate) fn kill(&mut self) -> Vec<u32> {
        let children = children_of(self.pid());
        let mut running = self.running.take().expect("home runs");
        running.child.kill().expect("home can be killed");
        running.child.wait().expect("home was started here");
        children
    }

    /// Ctrl-C, and waits for its end.
    pub(crate) fn interrupt(&mut self) -> (ExitStatus, Vec<String>) {
        send_signal(self.pid(), libc::SIGINT);
        let mut running = self.running.take().expect("home runs");
        let status = wait_for("home to end after Ctrl-C", || match running.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}; {}", tail(&running.log))),
        });
        let log = running.log.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (status, log)
    }

    /// Starts again on the same data, with the same arguments.
    pub(crate) fn start_again(&mut self) {
        self.start_again_with(&[]);
    }

    /// The same, where a page that is open looks for it: at its former address.
    pub(crate) fn start_again_in_place(&mut self) {
        let address = self.api.address().to_string();
        self.start_again_with(&["--ui".to_owned(), address]);
    }

    fn start_again_with(&mut self, more: &[String]) {
        assert!(self.running.is_none(), "home still runs");
        let arguments = [&self.arguments, more].concat();
        let (running, api, ingress) = start(self.directory.path(), &arguments);
        self.running = Some(running);
        (self.api, self.ingress) = (api, ingress);
        self.wait_placed(1);
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        let children = children_of(running.child.id());
        let _ = running.child.kill();
        let _ = running.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the end of home's log ---\n{}", tail(&running.log));
            return;
        }
        // The next home shall not share the machine with what is left of this one.
        wait_for("the children to end with their home", || {
            let alive: Vec<_> = children.iter().filter(|pid| is_alive(**pid)).collect();
            if alive.is_empty() {
                Ok(())
            } else {
                Err(format!("{alive:?} live"))
            }
        });
    }
}

impl HomeBuilder {
    /// Other rules than the shop's.
    pub(crate) fn rules(mut self, rules: &str) -> Self {
        rules.clone_into(&mut self.rules);
        self
    }

    /// `--placement`.
    pub(crate) fn placement(mut self, placement: &str) -> Self {
        self.arguments
            .extend(["--placement".to_owned(), placement.to_owned()]);
        self
    }

    /// Starts it, and waits until its handlers are placed.
    pub(crate) fn start(self) -> Home {
        let slot = Slot::take();
        let directory = tempfile::tempdir().expect("a directory for home");
        let folder = directory.path().join("data/handlers");
        std::fs::create_dir_all(&folder).expect("the handlers' folder");
        for file in &self.components {
            let name = file.file_name().expect("a component has a name");
            std::fs::copy(file, folder.join(name)).expect("the folder takes a file");
        }
        std::fs::write(directory.path().join("cleave.toml"), &self.rules).expect("the rules can be written");
        // Who compiles does so alone: two at once would take as long as both, and do it twice.
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        lend_code(&directory.path().join("data/code"));
        let (running, api, ingress) = if self.components.iter().all(|file| compiled.contains(file)) {
            drop(compiled);
            start(directory.path(), &self.arguments)
        } else {
            let started = start(directory.path(), &self.arguments);
            keep_code(&directory.path().join("data/code"));
            compiled.extend(self.components.iter().cloned());
            started
        };
        let arguments = self.arguments;
        let home = Home {
            directory,
            arguments,
            running: Some(running),
            api,
            ingress,
            _slot: slot,
        };
        home.wait_placed(1);
        for file in &self.components {
            let name = file
                .file_stem()
                .and_then(|name| name.to_str())
                .expect("a component has a name");
            home.wait_handler(name, "read", |handler| handler.state != HandlerState::Loading);
        }
        home
    }
}

fn start(directory: &Path, arguments: &[String]) -> (Running, Client, Client) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cleave"))
        .args(["up", "--data", "data", "--config", "cleave.toml"])
        .args(["--ingress", "127.0.0.1:0"])
        .args((!arguments.iter().any(|argument| argument == "--ui")).then_some("--ui=127.0.0.1:0"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary under test starts");
    let stderr = child.stderr.take().expect("stderr is piped");
    let log = Log::default();
    let lines = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
    let began = Instant::now();
    let mut running = Running { child, log };
    loop {
        let said = |mark: &str| {
            let lines = running.log.lock().unwrap_or_else(PoisonError::into_inner);
            lines
                .iter()
                .find_map(|line| Some(line.split_once(mark)?.1.trim().to_owned()))
        };
        if let (Some(ui), Some(ingress)) =
            (said("cleave: Cleave   http://"), said("cleave: ingress  http://"))
        {
            return (running, Client::new(&ui), Client::new(&ingress));
        }
        let ended = running.child.try_wait().ok().flatten();
        if ended.is_some() || began.elapsed() > START_WATCHDOG {
            let _ = running.child.kill();
            let _ = running.child.wait();
            panic!("home did not start ({ended:?}):\n{}", tail(&running.log));
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn tail(log: &Log) -> String {
    let lines = log.lock().unwrap_or_else(PoisonError::into_inner);
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// What homes of this run have compiled: a directory of the build's own. What an older run left is not used, so that
/// each run compiles everything once.
static CODE: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("it-code");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory for code");
    directory
});
/// The components whose code it has.
static COMPILED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Gives a new home the code that others compiled.
fn lend_code(to: &Path) {
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(to)
        .expect("a directory for code");
    copy_missing(&CODE, to);
}

/// Keeps what a home compiled.
fn keep_code(from: &Path) {
    copy_missing(from, &CODE);
}

fn copy_missing(from: &Path, to: &Path) {
    let Ok(entries) = std::fs::read_dir(from) else {
        return;
    };
    for entry in entries.flatten() {
        let target = to.join(entry.file_name());
        let is_whole = !entry.file_name().to_string_lossy().starts_with('.');
        if is_whole && !target.exists() {
            std::fs::copy(entry.path(), target).expect("compiled code can be copied");
        }
    }
}
