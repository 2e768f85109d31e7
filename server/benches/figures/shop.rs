//! What the whole shop costs: CPU per request of Cleave, together, against the same handlers linked natively behind an
//! HTTP door like Cleave's (`handlers/native`); and what home takes when nobody comes.
//!
//! Both are processes of their own, under the same open-loop load of the shop's mix from `cleave load`, in turns. The
//! native shop keeps carts in a map, writes no trace and sends its confirmation at once, so that the ratio is that of all
//! of Cleave: instances, copies, routing, durable state and queue, and traces at their usual rate.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::table::{Bound, Row, paired, rounded};

/// Turns of each, of [`SECONDS`].
const TURNS: usize = 7;
const SECONDS: u64 = 4;
/// Requests a second: some tenth of what one core of either answers.
const RATE: u64 = 150;
/// Far beyond what a start takes.
const WATCHDOG: Duration = Duration::from_secs(60);
/// Home is idle when it has not used the processor for so long.
const QUIET: Duration = Duration::from_secs(3);

/// All rows of `shop`.
pub fn rows() -> Vec<Row> {
    let directory = tempfile::tempdir().expect("a directory for home");
    let cleave = Server::cleave(directory.path());
    let idle_mb = cleave.idle_mb();
    let native = Server::native();
    let measured = paired(
        TURNS,
        || cleave.cpu_us_per_request(directory.path()),
        || native.cpu_us_per_request(directory.path()),
    );
    vec![
        measured.row(
            "shop_cpu_vs_native",
            Bound::AtMost(2.0),
            1.3,
            ("Cleave", "native", "µs of CPU a request"),
        ),
        Row {
            name: "idle_mb",
            value: idle_mb,
            must: Bound::AtMost(150.0),
            aim: 80.0,
            detail: format!(
                "{} MB resident, ten handlers together, after its start",
                rounded(idle_mb)
            ),
        },
    ]
}

/// A server that is being measured; ended when dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn cleave(directory: &Path) -> Self {
        let folder = directory.join("data/handlers");
        std::fs::create_dir_all(&folder).expect("a folder for the handlers");
        let components =
            std::env::var_os("CLEAVE_COMPONENTS").expect("`cargo xtask bench` says where components are");
        for entry in std::fs::read_dir(components).expect("built components").flatten() {
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "wasm")
            {
                std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("a copy");
            }
        }
        let rules =
            "[ingress]\nroot = \"frontend\"\n[edge.\"checkout -> shop:email/email\"]\nvia = \"queue\"\n";
        std::fs::write(directory.join("cleave.toml"), rules).expect("the shop's rules");
        let mut child = Command::new(program("cleave"))
            .current_dir(directory)
            .args(["up", "--ui", "127.0.0.1:0", "--ingress", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("home starts");
        let said = child.stderr.take().expect("its messages are piped");
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let url = lines
            .find_map(|line| Some(line.strip_prefix("cleave: ingress")?.trim().to_owned()))
            .expect("home says where its ingress is");
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }

    fn native() -> Self {
        let mut child = Command::new(program("shop-native"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the native shop starts");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("its output is piped"))
            .read_line(&mut address)
            .expect("it says where it is");
        let url = format!("http://{}", address.trim());
        Self { child, url }
    }

    /// CPU time of one request under load, in µs.
    fn cpu_us_per_request(&self, directory: &Path) -> f64 {
        let report = directory.join("load.json");
        let before = self.cpu_ns();
        // What it prints and its judgement of itself are not asked for here.
        Command::new(program("cleave"))
            .args([
                "load",
                "--target",
                &self.url,
                "--server",
                "http://127.0.0.1:1",
                "--warmup",
                "0s",
            ])
            .args([
                "--rate",
                &RATE.to_string(),
                "--duration",
                &format!("{SECONDS}s"),
                "--seed",
                "7",
                "--json",
            ])
            .arg(&report)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("the load runs");
        let used = self.cpu_ns() - before;
        let report = std::fs::read_to_string(report).expect("the load's report");
        let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
        let side = report["placements"]
            .as_object()
            .and_then(|sides| sides.values().next());
        let side = side.expect("one side");
        assert_eq!(
            side["errors"], 0,
            "every request is answered: {}",
            side["errors_by_kind"]
        );
        let requests = side["requests"].as_f64().expect("a number of requests");
        used / requests / 1e3
    }

    /// CPU time of its threads so far.
    fn cpu_ns(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|line| line.split(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Resident memory once it is quiet, in MB.
    fn idle_mb(&self) -> f64 {
        const QUIET_NS: f64 = 50e6;
        let began = Instant::now();
        loop {
            let before = self.cpu_ns();
            std::thread::park_timeout(QUIET);
            if self.cpu_ns() - before < QUIET_NS || began.elapsed() > WATCHDOG {
                break;
            }
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: f64 = resident
            .and_then(|text| text.trim().strip_suffix("kB")?.trim().parse().ok())
            .expect("its resident memory");
        kilobytes * 1_024.0 / 1e6
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that was built beside this one: `cargo bench` leaves this one in `deps`.
fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    own.ancestors().nth(2).expect("a target directory").join(name)
}
