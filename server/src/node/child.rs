//! A child: the same runtime, router and endpoint as home's, without doors, stores and placement.
//!
//! It is told everything by home: its identity on stdin, its handlers and routes over the wire. It ends when stdin
//! closes, so that no orphan outlives home.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use protocol::control::{Birth, Control, Figures, Routes};
use protocol::{NodeName, Span};
use tokio::sync::mpsc;

use super::local::Local;
use super::rights::Rights;
use super::station::Station;
use crate::clock::Clock;
use crate::dispatch::Dispatcher;
use crate::edges::Edges;
use crate::placement::child as life;
use crate::quic::{self, Identity, Quic, Twin};
use crate::router::Router;
use crate::runtime::Runtime;
use crate::shutdown::Tasks;
use crate::telemetry::Recorder;

/// Two workers: a child serves one handler on a machine that it shares with the others.
const WORKERS: usize = 2;
/// Spans of one control message.
const SPANS_BATCH_MAX: usize = 512;
/// How long spans wait for company.
const SPANS_WAIT: Duration = Duration::from_millis(100);
const FIGURES_EVERY: Duration = Duration::from_secs(1);
/// What calls in flight may take when home drains this node.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Runs a child until home lets it go.
pub fn child() -> ExitCode {
    let birth = match life::birth() {
        Ok(birth) => birth,
        Err(error) => {
            tracing::error!("start as a child of home: {error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build();
    match runtime
        .context("start the async runtime")
        .and_then(|runtime| runtime.block_on(run(birth)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(birth: Birth) -> anyhow::Result<()> {
    let home_gone = life::home_gone()?;
    let tasks = Tasks::new();
    let clock = Clock::system();
    let (recorder, spans) = Recorder::channel(birth.node.clone(), clock.clone());
    let edges = Arc::new(Edges::new(clock.clone()));
    let router = Router::new(Arc::clone(&recorder), Arc::clone(&edges));
    let router = Arc::new(router.keeping_arguments(birth.arguments));
    let dispatcher: Dispatcher = Arc::clone(&router) as Dispatcher;
    let runtime = Arc::new(Runtime::new(&birth.cache, dispatcher, Arc::clone(&recorder))?);
    runtime.start(&tasks);
    let local = Local::dispatcher(Arc::clone(&runtime), None);
    let identity = Identity::from(&birth);
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (control, inbox) = mpsc::channel(256);
    let config = quic::Config {
        sockets: Some(birth.sockets),
        ..quic::Config::new(listen, identity, birth.incarnation)
    };
    let quic = Quic::bind(config, Arc::clone(&local), control, tasks.child())?;
    let station = Arc::new(Station {
        node: birth.node,
        runtime,
        router,
        quic,
        twin: Twin::dispatcher(Arc::clone(&local)),
        local,
        tasks: tasks.child(),
        built_in_exports: Mutex::default(),
        routes: Mutex::default(),
        rights: Rights::default(),
        loaded: Mutex::default(),
    });
    life::announce(station.quic.local_addr())?;
    let seat = Seat {
        station,
        home: birth.home,
        recorder,
        edges,
    };
    seat.serve(spans, inbox, home_gone).await;
    Ok(())
}

/// What a child's loop works with.
struct Seat {
    station: Arc<Station>,
    home: SocketAddr,
    recorder: Arc<Recorder>,
    edges: Arc<Edges>,
}

impl Seat {
    async fn serve(
        &self,
        mut spans: mpsc::Receiver<Span>,
        mut inbox: mpsc::Receiver<(NodeName, Control)>,
        home_gone: impl Future<Output = ()>,
    ) {
        let mut figures = tokio::time::interval(FIGURES_EVERY);
        let mut ship = tokio::time::interval(SPANS_WAIT);
        let mut batch = Vec::new();
        tokio::pin!(home_gone);
        loop {
            tokio::select! {
                biased;
                () = &mut home_gone => return,
                message = inbox.recv() => match message {
                    Some((_, Control::Drain)) => break,
                    Some((_, message)) => self.handle(message).await,
                    None => return,
                },
                _ = figures.tick() => self.send(Control::Figures(Box::new(self.figures()))).await,
                _ = ship.tick() => {
                    while batch.len() < SPANS_BATCH_MAX && let Ok(span) = spans.try_recv() {
                        batch.push(span);
                    }
                    if !batch.is_empty() {
                        self.send(Control::Spans(std::mem::take(&mut batch))).await;
                        ship.reset_immediately();
                    }
                }
            }
        }
        if let Err(error) = self.station.quic.finish_calls(DRAIN_MAX).await {
            tracing::warn!("{error}");
        }
        let mut rest = Vec::new();
        while let Ok(span) = spans.try_recv() {
            rest.push(span);
        }
        for batch in rest.chunks(SPANS_BATCH_MAX) {
            self.send(Control::Spans(batch.to_vec())).await;
        }
        self.send(Control::Figures(Box::new(self.figures()))).await;
        self.station.quic.close().await;
    }

    async fn handle(&self, message: Control) {
        match message {
            Control::Prepare(routes) => {
                let failed = self.prepare(&routes);
                let generation = routes.generation;
                // A peer that follows these routes already may call before they are confirmed here, and a node that
                // knows nobody could not make that call's own calls.
                if self.station.generation() == 0 {
                    self.station.apply(&Arc::new(*routes));
                }
                self.send(Control::Prepared { generation, failed }).await;
            }
            // What has been overtaken by newer routes changes nothing.
            Control::Routes(routes) if routes.generation < self.station.generation() => {}
            Control::Routes(routes) => {
                let failed = self.prepare(&routes);
                let generation = routes.generation;
                self.station.apply(&Arc::new(*routes));
                self.send(Control::Ready { generation, failed }).await;
            }
            Control::Papers(papers) => {
                let identity = Identity::with_papers(self.station.node.clone(), *papers);
                if let Err(error) = self.station.quic.renew(&identity) {
                    tracing::error!("this node keeps its old papers: {error}");
                }
            }
            Control::PeerDown { node, incarnation } => self.station.quic.peer_down(&node, incarnation),
            _ => {}
        }
    }

    fn prepare(&self, routes: &Routes) -> Vec<(protocol::HandlerName, String)> {
        tokio::task::block_in_place(|| self.station.prepare(routes))
    }

    fn figures(&self) -> Figures {
        let (quic_bytes_sent, quic_bytes_received) = self.station.quic.bytes();
        Figures {
            spans_finished: self.recorder.finished(),
            spans_dropped: self.recorder.dropped(),
            quic_bytes_sent,
            quic_bytes_received,
            edges: self.edges.figures(),
            instances: self.station.runtime.figures(),
        }
    }

    async fn send(&self, message: Control) {
        if let Err(error) = self
            .station
            .quic
            .send(&NodeName::home(), self.home, message)
            .await
        {
            tracing::debug!("home does not take a message: {error}");
        }
    }
}
