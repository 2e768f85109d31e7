//! Home: the node that the user starts. Doors, stores, placement and, in *together*, every handler.
//!
//! Built from the ground up: stores, runtime, router, endpoint, handlers, placement, doors. Stopped from the doors down:
//! requests in progress end, consumers settle, children drain, spans are flushed, databases are closed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use protocol::NodeName;
use protocol::api::placement::Placement;
use protocol::control::Control;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::affinity::affinities;
use super::fleet::Nodes;
use super::handlers::Handlers;
use super::local::BuiltIns;
use super::lock::DataLock;
use super::outside::{OtlpDoors, Outside};
use super::placed;
use super::queued::{edge_timeouts, explain, queued};
use super::seat::{Seat, Seated, built_in_exports};
use super::station::Station;
use super::stores::Stores;
use super::view::View;
use crate::cli::up::UpArgs;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::dispatch::Dispatcher;
use crate::edges::Edges;
use crate::http;
use crate::placement::{ChildEvent, Desired, Inventory};
use crate::queue::{Consumers, QueueDispatch, QueueEdge, Work};
use crate::router::Router;
use crate::runtime::folder::Folder;
use crate::shutdown::Tasks;
use crate::state::StateDispatch;
use crate::telemetry::Sampler;

/// What the doors may take to finish requests in progress.
const DOORS_MAX: Duration = Duration::from_secs(10);
/// What everything behind them may take.
const REST_MAX: Duration = Duration::from_secs(10);

/// Runs home until Ctrl-C; a second one ends the process at once.
pub async fn up(args: UpArgs) -> ExitCode {
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command line's answer")]
fn complain(error: &anyhow::Error) {
    eprintln!("cleave up: {error:#}");
}

async fn run(args: UpArgs) -> anyhow::Result<()> {
    let data = args.data.clone();
    let mut config = configuration(&args)?;
    if args.otlp {
        config.otlp.open();
    }
    let config = Arc::new(config);
    let placement = match &args.placement {
        Some(text) => {
            let asked = config::placement_argument(text)?;
            let edges = match asked.edges.is_empty() {
                true => config.placement.edges.clone(),
                false => asked.edges.clone(),
            };
            Placement {
                replicas: config.placement.replicas.clone(),
                edges,
                ..asked
            }
        }
        None => config.placement.clone(),
    };
    let _lock = DataLock::take(&data)?;
    let ui = listen(args.ui.unwrap_or(config.ui.listen), "--ui").await?;
    let ingress = listen(args.ingress.unwrap_or(config.ingress.listen), "--ingress").await?;
    let otlp = OtlpDoors::listen(&config.otlp).await?;
    let home = Home::build(
        &data,
        config,
        placement,
        (ui.local_addr()?, ingress.local_addr()?),
        &otlp,
    )
    .await?;
    home.serve(ui, ingress, otlp, args.open).await
}

fn configuration(args: &UpArgs) -> anyhow::Result<Config> {
    let default = Path::new("cleave.toml");
    match &args.config {
        Some(path) => Ok(Config::load(path)?),
        None if default.exists() => Ok(Config::load(default)?),
        None => Ok(Config::default()),
    }
}

pub(super) async fn listen(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    if !address.ip().is_loopback() {
        bail!(
            "{flag} {address} is not a loopback address; other machines could do anything with this node, as it has no \
             tokens yet: use 127.0.0.1"
        );
    }
    TcpListener::bind(address).await.with_context(|| {
        format!("listen on {address}: is another program using the port? choose one with {flag}")
    })
}

/// The parts that outlive building.
struct Home {
    data: PathBuf,
    config: Arc<Config>,
    clock: Clock,
    doors: Tasks,
    work: Tasks,
    stores: Stores,
    sampler: Arc<Sampler>,
    edges: Arc<Edges>,
    edge: Arc<QueueEdge>,
    station: Arc<Station>,
    handlers: Arc<Handlers>,
    nodes: Arc<Nodes>,
    desired: Desired,
    consumers: Consumers,
    addresses: (SocketAddr, SocketAddr),
    outside: Arc<Outside>,
}

impl Home {
    async fn build(
        data: &Path,
        config: Arc<Config>,
        placement: Placement,
        addresses: (SocketAddr, SocketAddr),
        otlp: &OtlpDoors,
    ) -> anyhow::Result<Arc<Self>> {
        let clock = Clock::system();
        let stores = Stores::open(data, &config, &clock).await?;
        let doors = Tasks::new();
        let work = Tasks::new();
        let edges = Arc::new(Edges::new(clock.clone()));
        let Stores { recorder, queues, .. } = &stores;
        let edge = Arc::new(QueueEdge::new(queues.clone(), Arc::clone(recorder)));
        let built_ins = built_ins(&stores, &config, &edge);
        let router = Router::new(Arc::clone(recorder), Arc::clone(&edges));
        let seat = Seat {
            data,
            config: &config,
            recorder,
            router: Arc::new(router.keeping_arguments(config.traces.arguments)),
            work: &work,
        };
        let seated = match seat.take(built_ins, placement) {
            Ok(seated) => seated,
            Err(error) => {
                stores.close().await;
                return Err(error);
            }
        };
        let Seated {
            station,
            nodes,
            desired,
            inbox,
            child_events,
        } = seated;
        queues.spawn_sweeper(&work);
        edges.start(&work);
        let runtime = Arc::clone(&station.runtime);
        let chronicle = Arc::clone(&nodes.chronicle);
        let handlers = Handlers::new(runtime, Arc::clone(&config), clock.clone(), chronicle);
        let handlers = Arc::new(handlers);
        let work_off = Work {
            dispatcher: Arc::clone(&station.router) as Dispatcher,
            recorder: Arc::clone(recorder),
            explain: explain(Arc::clone(&handlers)),
            concurrency: config.queue.concurrency,
        };
        let outside = Arc::new(Outside::new(&stores, &config.otlp, otlp, &clock));
        let home = Arc::new(Self {
            data: data.to_owned(),
            outside,
            handlers,
            consumers: Consumers::spawn(queues.clone(), work_off, &doors),
            sampler: Arc::new(Sampler::new(config.traces.sampling)),
            config,
            clock,
            doors,
            work,
            stores,
            edges,
            edge,
            station,
            nodes,
            desired,
            addresses,
        });
        home.start_loops(inbox, child_events);
        Ok(home)
    }

    /// Both loops end when the work behind the doors is asked to; what children sent before they ended is taken first.
    fn start_loops(
        self: &Arc<Self>,
        mut inbox: mpsc::Receiver<(NodeName, Control)>,
        mut child_events: mpsc::Receiver<ChildEvent>,
    ) {
        let home = Arc::clone(self);
        self.work.spawn("control", async move {
            let ended = home.work.token();
            while let Some(Some((node, message))) = ended.run_until_cancelled(inbox.recv()).await {
                home.handle_control(&node, message);
            }
            inbox.close();
            while let Some((node, message)) = inbox.recv().await {
                home.handle_control(&node, message);
            }
        });
        let (nodes, ended) = (Arc::clone(&self.nodes), self.work.token());
        self.work.spawn("children", async move {
            while let Some(Some(event)) = ended.run_until_cancelled(child_events.recv()).await {
                nodes.handle_child(event).await;
            }
        });
    }

    fn handle_control(&self, node: &NodeName, message: Control) {
        match message {
            Control::Spans(spans) => self.stores.traces.ingest(spans),
            Control::Figures(figures) => {
                let incarnation = self.nodes.incarnation(node);
                self.edges.merge(node, incarnation, figures.edges.clone());
                let (finished, dropped) = (figures.spans_finished, figures.spans_dropped);
                self.stores.traces.note_node(node, incarnation, finished, dropped);
                self.nodes.handle_control(node, Control::Figures(figures));
            }
            other => self.nodes.handle_control(node, other),
        }
    }

    /// Reads the folder as it stands, then follows it; each change goes to placement.
    async fn follow_folder(self: Arc<Self>, mut folder: Folder) {
        let token = self.doors.token();
        loop {
            let changed = tokio::select! {
                biased;
                () = token.cancelled() => return,
                changed = folder.changed() => changed,
            };
            for path in changed {
                if let Err(rejection) = self.handlers.read(&path).await {
                    tracing::debug!("{}: {rejection}", path.display());
                }
            }
            self.announce();
        }
    }

    /// Tells placement, queue and peers which handlers there are.
    pub(super) fn announce(&self) {
        let queued = queued(&self.config, &self.handlers);
        for (edge, reason) in &queued.problems {
            tracing::error!("{}", self.config.edge_problem(edge, reason.clone()));
        }
        self.edge.set_edges(queued.settings);
        {
            let mut exports = self
                .station
                .built_in_exports
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *exports = built_in_exports();
            exports.extend(queued.exports);
        }
        self.station.export();
        let affinities = affinities(&self.config, &self.handlers);
        for handler in affinities.unknown.keys() {
            tracing::warn!(handler = %handler, "no function of `{handler}` has the parameter of its `affinity`; its replicas are chosen by load");
        }
        let inventory = Inventory {
            affinities: affinities.routes,
            queued: queued.edges,
            edge_timeouts: edge_timeouts(&self.config, &self.handlers),
            ..self.handlers.inventory()
        };
        self.desired.set_inventory(inventory);
        self.consumers.routes_changed();
    }

    async fn serve(
        self: Arc<Self>,
        ui: TcpListener,
        ingress: TcpListener,
        otlp: OtlpDoors,
        open: bool,
    ) -> anyhow::Result<()> {
        let folder_path = self.data.join("handlers");
        let mut folder =
            Folder::open(&folder_path).with_context(|| format!("watch `{}`", folder_path.display()))?;
        for path in folder.files() {
            if let Err(rejection) = self.handlers.read(&path).await {
                tracing::debug!("{}: {rejection}", path.display());
            }
        }
        self.check_config()?;
        self.announce();
        self.doors
            .spawn("folder", Arc::clone(&self).follow_folder(folder));
        let context = Arc::new(http::Context {
            router: Arc::clone(&self.station.router),
            recorder: Arc::clone(&self.stores.recorder),
            sampler: Arc::clone(&self.sampler),
            traces: self.stores.traces.clone(),
            edges: Arc::clone(&self.edges),
            desired: self.desired.clone(),
            queues: self.stores.queues.clone(),
            home: Arc::new(self.view()),
            intake: Arc::clone(&self.outside.intake),
            clock: self.clock.clone(),
            ingress_root: self.config.ingress.root.clone(),
            ingress_timeout: self.config.ingress.timeout,
        });
        self.doors
            .spawn("ui", http::serve_ui(ui, Arc::clone(&context), self.doors.clone()));
        self.doors.spawn(
            "ingress",
            http::serve_ingress(ingress, context, self.doors.clone()),
        );
        otlp.serve(&self.outside.door, &self.doors);
        self.forward_changes();
        self.say_where(open);
        interrupted().await;
        self.say("draining; press Ctrl-C again to end at once");
        let home = Arc::clone(&self);
        tokio::select! {
            () = home.stop() => Ok(()),
            () = interrupted() => bail!("ended by a second Ctrl-C before everything was drained"),
        }
    }

    /// What the doors see of home, without owning it.
    fn view(&self) -> View {
        View {
            data: self.data.clone(),
            clock: self.clock.clone(),
            sampling: self.sampler.mode(),
            edges: Arc::clone(&self.edges),
            traces: self.stores.traces.clone(),
            station: Arc::clone(&self.station),
            handlers: Arc::clone(&self.handlers),
            nodes: Arc::clone(&self.nodes),
            desired: self.desired.clone(),
            ui: self.addresses.0,
            ingress: self.addresses.1,
            outside: Arc::clone(&self.outside),
        }
    }

    /// Names of the file that no handler has are problems only once every file was read.
    fn check_config(&self) -> anyhow::Result<()> {
        let known = self.handlers.names().into_iter().collect();
        let folder = self.data.join("handlers");
        let placement = self.desired.status().desired;
        let mut problems = self.config.unknown_handlers(&placement, &known, &folder);
        let queued = queued(&self.config, &self.handlers).problems.into_iter();
        problems.extend(queued.map(|(edge, reason)| self.config.edge_problem(&edge, reason)));
        let unknown = affinities(&self.config, &self.handlers).unknown;
        problems.extend(unknown.iter().filter_map(|(handler, parameters)| {
            let parameters = parameters.iter().map(String::as_str).collect();
            self.config.affinity_problem(handler, &parameters)
        }));
        Ok(self.config.refuse(problems)?)
    }

    /// What changes with nodes, routes and placement is shown with the handlers too.
    fn forward_changes(self: &Arc<Self>) {
        let home = Arc::clone(self);
        self.doors.spawn("changes", async move {
            let (mut nodes, mut placement) = (home.nodes.changes(), home.desired.changes());
            let mut told = placed::Told::default();
            loop {
                tokio::select! {
                    biased;
                    () = home.doors.cancelled() => return,
                    changed = nodes.changed() => if changed.is_err() { return },
                    changed = placement.changed() => {
                        if changed.is_err() { return }
                        home.consumers.routes_changed();
                        told.look(&home.desired.status(), &home.nodes.chronicle);
                    }
                }
                home.handlers.touch();
            }
        });
    }

    async fn stop(self: Arc<Self>) {
        ended("at the doors", DOORS_MAX, self.doors.drain(DOORS_MAX).await);
        self.nodes.drain_all().await;
        if let Err(error) = self.station.quic.drain(REST_MAX).await {
            tracing::warn!("{error}");
        }
        ended("behind the doors", REST_MAX, self.work.drain(REST_MAX).await);
        self.stores.close().await;
    }

    #[expect(clippy::print_stderr, reason = "the command line's answer")]
    fn say(&self, text: &str) {
        eprintln!("cleave: {text}");
    }

    fn say_where(&self, open: bool) {
        let (ui, ingress) = self.addresses;
        self.say(&format!("Cleave   http://{ui}"));
        self.say(&format!("ingress  http://{ingress}"));
        self.outside.addresses().iter().for_each(|line| self.say(line));
        self.say(&format!(
            "handlers {} in {}",
            self.handlers.names().len(),
            self.data.join("handlers").display()
        ));
        if open
            && let Err(error) = std::process::Command::new("xdg-open")
                .arg(format!("http://{ui}"))
                .spawn()
        {
            self.say(&format!("no browser could be opened: {error}"));
        }
    }
}

/// What home serves itself.
fn built_ins(stores: &Stores, config: &Config, edge: &Arc<QueueEdge>) -> BuiltIns {
    let recorder = &stores.recorder;
    let queues = stores.queues.clone();
    BuiltIns {
        state: StateDispatch::new(stores.state.clone(), Arc::clone(recorder)),
        queue: QueueDispatch::new(queues, Arc::clone(recorder), config.grants.clone()),
        edge: Arc::clone(edge),
    }
}

/// Names what did not end in time: a task that is not asked to, or one that does not listen.
fn ended(place: &str, within: Duration, outcome: Result<(), Vec<&'static str>>) {
    if let Err(names) = outcome {
        tracing::warn!("still running {place} after {within:?}: {}", names.join(", "));
    }
}

async fn interrupted() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(_) => return std::future::pending().await,
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
