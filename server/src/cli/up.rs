//! `cleave up`: starts a node with its doors, and stays until Ctrl-C.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// Arguments of `cleave up`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Components in DATA/handlers are served as soon as they are dropped there. Ctrl-C finishes what was accepted and ends; a
second one ends at once.

EXAMPLES:
  cleave up                                   everything in one process
  cleave up --placement apart                 one process per handler
  cleave up --data /tmp/try --ui 127.0.0.1:0  another data directory, any free port")]
pub struct UpArgs {
    /// What to start with; ./cleave.toml, where it exists
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where handlers, queues, state and traces are kept
    #[arg(long, value_name = "DIR", default_value = "./data")]
    pub data: PathBuf,

    /// Which handlers share a process: `together`, `apart`, or a file with a [placement] section; and behind it how calls
    /// go, as in `apart+uds+2ms`
    #[arg(long, value_name = "together|apart|FILE")]
    pub placement: Option<String>,

    /// Where the UI and the API listen; loopback only [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR")]
    pub ui: Option<SocketAddr>,

    /// Where outside traffic comes in; loopback only [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub ingress: Option<SocketAddr>,

    /// Take spans of other programs on OpenTelemetry's ports, 4318 and 4317, or where [otlp] says
    #[arg(long)]
    pub otlp: bool,

    /// Open the UI in a browser
    #[arg(long)]
    pub open: bool,
}
