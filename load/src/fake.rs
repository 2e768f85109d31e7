//! Fake: a shop and Cleave's API on one loopback port, for tests: as slow, as broken and as placed as a test wants it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use protocol::api::placement::{Mode, Placement};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How the fake behaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behaviour {
    /// Every answer takes this long together.
    pub together: Duration,
    /// And this long apart.
    pub apart: Duration,
    /// From this request on, no answer leaves for so long.
    pub stall: Option<(u64, Duration)>,
    /// Every n-th shop request answers 500.
    pub fail_every: Option<u64>,
    /// The placement never settles.
    pub never_settles: bool,
}

/// A running fake; dropping it ends it.
pub(crate) struct Fake {
    pub(crate) url: String,
    pub(crate) state: Arc<State>,
    _listener: JoinSet<()>,
}

pub(crate) struct State {
    behaviour: Behaviour,
    placement: Mutex<(u64, Placement)>,
    stalled_until: Mutex<Option<Instant>>,
    /// Every placement that was put, in order.
    pub(crate) puts: Mutex<Vec<Mode>>,
    /// Shop requests so far.
    pub(crate) requests: AtomicU64,
    in_flight: AtomicUsize,
    /// The most shop requests at once.
    pub(crate) in_flight_max: AtomicUsize,
    quic_bytes: AtomicU64,
}

impl Fake {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            behaviour,
            placement: Mutex::new((
                1,
                Placement {
                    mode: Mode::Together,
                    ..Placement::default()
                },
            )),
            stalled_until: Mutex::new(None),
            puts: Mutex::new(Vec::new()),
            requests: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            in_flight_max: AtomicUsize::new(0),
            quic_bytes: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Self {
            url,
            state,
            _listener: tasks,
        }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn puts(&self) -> Vec<Mode> {
        self.state.puts.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let serve = service_fn(|request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, std::convert::Infallible>(state.answer(request).await) }
            });
            // A client that goes away is a client's right.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), serve)
                .await;
        });
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .body(Full::new(body.into()))
        .unwrap()
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if path.starts_with("/api/") {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            return self.api(&method, &path, &body);
        }
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.in_flight_max.fetch_max(now, Ordering::SeqCst);
        self.wait(number).await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if self
            .behaviour
            .fail_every
            .is_some_and(|every| number.is_multiple_of(every))
        {
            return text(StatusCode::INTERNAL_SERVER_ERROR, "broken");
        }
        match (&method, path.as_str()) {
            (&Method::GET, "/") => text(StatusCode::OK, r#"<a data-product="lamp"><a data-product="mug">"#),
            (&Method::GET, "/product/lamp" | "/product/mug" | "/cart") => text(StatusCode::OK, "here"),
            (&Method::POST, "/currency" | "/cart") => text(StatusCode::SEE_OTHER, ""),
            (&Method::POST, "/cart/checkout") => text(StatusCode::OK, "ordered"),
            _ => text(StatusCode::NOT_FOUND, "no such page"),
        }
    }

    async fn wait(&self, number: u64) {
        let delay = match self.mode() {
            Mode::Together => self.behaviour.together,
            _ => {
                self.quic_bytes.fetch_add(500, Ordering::SeqCst);
                self.behaviour.apart
            }
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let until = {
            let mut until = self.stalled_until.lock().unwrap();
            if let Some((_, stall)) = self.behaviour.stall.filter(|(from, _)| *from == number) {
                *until = Some(Instant::now() + stall);
            }
            *until
        };
        if let Some(until) = until {
            tokio::time::sleep_until(until.into()).await;
        }
    }

    fn mode(&self) -> Mode {
        self.placement.lock().unwrap().1.mode
    }

    fn api(&self, method: &Method, path: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let answer = match (method, path) {
            (&Method::GET, "/api/v1/status") => json!({
                "version": "0", "data": "", "ui": "", "ingress": "", "sampling": "100/s", "started_unix_ms": 0,
                "spans": { "finished": 0, "recorded": 0, "dropped": 0, "stored_bytes": 0 },
            }),
            (&Method::GET, "/api/v1/handlers") => json!({ "items": [] }),
            (&Method::GET, "/api/v1/nodes") => json!({ "items": [self.home()] }),
            (&Method::GET, "/api/v1/placement") => {
                let (generation, placement) = self.placement.lock().unwrap().clone();
                let settled = !self.behaviour.never_settles;
                json!({
                    "generation": generation, "actual_generation": generation, "desired": placement,
                    "actual": placement, "settled": settled, "file": placement, "handlers": {},
                })
            }
            (&Method::PUT, "/api/v1/placement") => {
                let placement: Placement = serde_json::from_slice(body).unwrap();
                self.puts.lock().unwrap().push(placement.mode);
                let mut current = self.placement.lock().unwrap();
                *current = (current.0 + 1, placement);
                json!({ "generation": current.0 })
            }
            _ => return text(StatusCode::NOT_FOUND, "{}"),
        };
        text(StatusCode::OK, answer.to_string())
    }

    fn home(&self) -> serde_json::Value {
        let bytes = self.quic_bytes.load(Ordering::SeqCst);
        json!({
            "name": "home", "state": "ready", "pid": std::process::id(), "incarnation": 1, "handlers": [],
            "started_unix_ms": 0, "cpu_seconds": 0.0, "resident_bytes": 0,
            "quic_bytes_sent": bytes, "quic_bytes_received": bytes / 2,
        })
    }
}
