//! The live tail as a person sees it: from the end of a span, which another program sends by OTLP, to its trace's row on
//! the screen.
//!
//! A trace's id begins with the moment at which it ended, as this program's clock has it; the page's clock is compared
//! with that one by the quickest of several questions, and the difference is taken off.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chromium::Page;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use protocol::Span;
use server::clock::Clock;
use server::otlp::{Encoding, encode, traces_data};
use server::shutdown::Tasks;
use tokio::net::TcpStream;

use super::opening::number;
use crate::traces::spans;

const SPANS_PER_S: f64 = 20_000.0;
const FOR: Duration = Duration::from_secs(8);
const EVERY: Duration = Duration::from_millis(20);
const QUESTIONS: usize = 40;

/// What was seen.
pub struct Seen {
    /// From the end of each trace to the frame that shows it, in ms.
    pub waits: Vec<f64>,
    pub sent: u64,
    pub refused: u64,
    /// How far the page's clock is ahead, and how sure that is, in ms.
    pub clock: (f64, f64),
}

/// Sends to a door while the page shows the list of traces.
pub async fn watch(page: &mut Page, door: &str, tasks: &Tasks) -> Seen {
    let clock = Clock::system();
    let ahead = compare(page, &clock).await;
    page.evaluate("probe.tail()").await;
    let (sent, refused) = Sender::to(door, tasks).send(&clock).await;
    let waits = page
        .wait_until("traces to be seen", "probe.waits.length > 0 && probe.waits")
        .await;
    let waits = waits
        .as_array()
        .into_iter()
        .flatten()
        .map(|wait| number(wait) - ahead.0)
        .collect();
    Seen {
        waits,
        sent,
        refused,
        clock: ahead,
    }
}

/// How far the page's clock is ahead of this one: told by the answer that came soonest.
async fn compare(page: &mut Page, clock: &Clock) -> (f64, f64) {
    let mut best = (0.0, f64::INFINITY);
    for _ in 0..QUESTIONS {
        let before = clock.unix_ns() as f64 / 1e6;
        let there = number(&page.evaluate("performance.timeOrigin + performance.now()").await);
        let after = clock.unix_ns() as f64 / 1e6;
        if after - before < best.1 {
            best = (there - f64::midpoint(before, after), after - before);
        }
    }
    best
}

/// Another program: one connection to the door at a time.
struct Sender<'a> {
    connection: Option<SendRequest<Full<Bytes>>>,
    path: String,
    host: String,
    tasks: &'a Tasks,
}

impl<'a> Sender<'a> {
    fn to(door: &str, tasks: &'a Tasks) -> Self {
        let address = door.strip_prefix("http://").unwrap_or(door);
        let (host, path) = address.split_once('/').unwrap_or((address, "v1/traces"));
        Self {
            connection: None,
            path: format!("/{path}"),
            host: host.to_owned(),
            tasks,
        }
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(&self.host).await.expect("the door is open");
        let connected = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (connection, driver) = connected.expect("it speaks HTTP");
        self.tasks.spawn("sender", async move {
            let _ = driver.await;
        });
        connection
    }

    /// Sends at its rate; gives how many spans were sent, and how many the door did not take.
    async fn send(mut self, clock: &Clock) -> (u64, u64) {
        let began = Instant::now();
        let (mut sent, mut refused, mut counter) = (0, 0, 0);
        let mut beat = tokio::time::interval(EVERY);
        while began.elapsed() < FOR {
            beat.tick().await;
            let due = began.elapsed().as_secs_f64() * SPANS_PER_S;
            let mut batch = Vec::new();
            while ((sent as usize + batch.len()) as f64) < due {
                counter += 1;
                batch.extend(ended_now(clock.unix_ns(), counter));
            }
            let count = batch.len() as u64;
            sent += count;
            if !self.post(&batch).await {
                refused += count;
            }
        }
        (sent, refused)
    }

    /// Whether the door took a batch. One that takes no more closes the connection.
    async fn post(&mut self, spans: &[Span]) -> bool {
        let body = encode(&traces_data(spans), Encoding::Protobuf);
        let request = http::Request::post(&self.path)
            .header("host", &self.host)
            .header("content-type", "application/x-protobuf")
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.connect().await,
        };
        if connection.ready().await.is_err() {
            return false;
        }
        let Ok(answer) = connection.send_request(request).await else {
            return false;
        };
        let is_taken = answer.status().is_success();
        let is_whole = answer.into_body().collect().await.is_ok();
        self.connection = is_whole.then_some(connection);
        is_taken
    }
}

/// The spans of a request of which the last ends at a moment, which its trace's id begins with.
fn ended_now(now_ns: u64, counter: u64) -> Vec<Span> {
    let id = u128::from(now_ns) << 64 | u128::from(counter);
    let mut spans = spans::request(id - 1);
    let end = spans
        .iter()
        .map(|span| span.start_unix_ns + span.duration_ns)
        .max()
        .unwrap_or(0);
    for span in &mut spans {
        span.start_unix_ns = now_ns - (end - span.start_unix_ns);
    }
    spans
}
