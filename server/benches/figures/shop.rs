//! What the whole shop costs: CPU per request of Cleave, together, against the same handlers linked natively behind an
//! HTTP door like Cleave's (`handlers/native`); and what home takes when nobody comes.
//!
//! Both are processes of their own, under the same open-loop load of the shop's mix from `cleave load`, in turns. The
//! native shop keeps carts in a map, writes no trace and sends its confirmation at once, so that the ratio is that of all
//! of Cleave: instances, copies, routing, durable state and queue, and traces at their usual rate.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{Process, lend_components, program};
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
    let cleave = cleave(directory.path());
    let idle_mb = idle_mb(&cleave);
    let native = native();
    let measured = paired(
        TURNS,
        || cpu_us_per_request(&cleave, directory.path()),
        || cpu_us_per_request(&native, directory.path()),
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

/// The door that is loaded.
const DOOR: &str = "ingress";

fn cleave(directory: &Path) -> Process {
    lend_components(directory);
    let rules = "[ingress]\nroot = \"frontend\"\n[edge.\"checkout -> shop:email/email\"]\nvia = \"queue\"\n";
    std::fs::write(directory.join("cleave.toml"), rules).expect("the shop's rules");
    Process::cleave(directory, &[DOOR])
}

fn native() -> Process {
    let mut child = Command::new(program("shop-native"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the native shop starts");
    let mut address = String::new();
    BufReader::new(child.stdout.take().expect("its output is piped"))
        .read_line(&mut address)
        .expect("it says where it is");
    Process::of(child, DOOR, format!("http://{}", address.trim()))
}

/// CPU time of one request under load, in µs.
fn cpu_us_per_request(server: &Process, directory: &Path) -> f64 {
    let report = directory.join("load.json");
    let before = server.cpu_ns();
    // What it prints and its judgement of itself are not asked for here.
    Command::new(program("cleave"))
        .args([
            "load",
            "--target",
            server.url(DOOR),
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
    let used = server.cpu_ns() - before;
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

/// Resident memory once it is quiet, in MB.
fn idle_mb(server: &Process) -> f64 {
    const QUIET_NS: f64 = 50e6;
    let began = Instant::now();
    loop {
        let before = server.cpu_ns();
        std::thread::park_timeout(QUIET);
        if server.cpu_ns() - before < QUIET_NS || began.elapsed() > WATCHDOG {
            break;
        }
    }
    server.resident_mb()
}
