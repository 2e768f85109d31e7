//! Both doors from outside.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use protocol::{NodeName, TraceId};

use super::*;
use crate::clock::Clock;
use crate::http::testing::WATCHDOG;
use crate::otlp::export::{Exporter, Figures, endpoint};
use crate::telemetry::Recorder;
use crate::traces::Retention;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

struct Open {
    http: String,
    grpc: String,
    traces: Traces,
    client: Client<HttpConnector, Full<Bytes>>,
    client_2: Client<HttpConnector, Full<Bytes>>,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

impl Open {
    async fn new() -> Self {
        let (tasks, clock, folder) = (Tasks::new(), Clock::system(), tempfile::tempdir().unwrap());
        let (recorder, spans) = Recorder::channel(NodeName::home(), clock.clone());
        let file = folder.path().join("traces.db");
        let traces = Traces::open(&file, Retention::default(), recorder, spans, &Tasks::new())
            .await
            .unwrap();
        let door = Arc::new(Door::new(traces.clone(), Arc::new(Intake::new(clock))));
        let mut addresses = Vec::new();
        for is_grpc in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(format!("http://{}", listener.local_addr().unwrap()));
            tasks.spawn(
                "otlp",
                serve_otlp(listener, Arc::clone(&door), is_grpc, tasks.clone()),
            );
        }
        Self {
            grpc: addresses.pop().unwrap(),
            http: addresses.pop().unwrap(),
            traces,
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            client_2: Client::builder(TokioExecutor::new())
                .http2_only(true)
                .build(HttpConnector::new()),
            tasks,
            _folder: folder,
        }
    }

    async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (u16, HeaderMap, Bytes) {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.http));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let answer = tokio::time::timeout(WATCHDOG, self.client.request(request))
            .await
            .unwrap()
            .unwrap();
        let (parts, body) = answer.into_parts();
        (
            parts.status.as_u16(),
            parts.headers,
            body.collect().await.unwrap().to_bytes(),
        )
    }

    /// A unary call: its message, and where the status stands.
    async fn call(&self, path: &str, body: Vec<u8>, packed: bool) -> (Bytes, HeaderMap) {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.grpc))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if packed {
            request = request.header("grpc-encoding", "gzip");
        }
        let mut frame = vec![u8::from(packed)];
        frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        frame.extend(body);
        let request = request.body(Full::new(Bytes::from(frame))).unwrap();
        let answer = tokio::time::timeout(WATCHDOG, self.client_2.request(request))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap();
        let told = body.trailers().cloned().unwrap_or(parts.headers);
        (body.to_bytes(), told)
    }

    async fn has(&self, id: u128) -> bool {
        self.traces.flush().await.unwrap();
        self.traces.whole(TraceId(id)).await.unwrap().is_some()
    }
}

fn json(id: u128) -> String {
    let now = Clock::system().unix_ns();
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"Web"}}}}]}},
        "scopeSpans":[{{"spans":[{{"traceId":"{id:032x}","spanId":"00000000000000a1","name":"GET /","kind":2,
        "startTimeUnixNano":"{now}","endTimeUnixNano":"{}"}}]}}]}}]}}"#,
        now + 1_000
    )
}

fn protobuf(id: u128) -> Vec<u8> {
    let decoded = otlp::decode(json(id).as_bytes(), Encoding::Json).unwrap();
    otlp::encode(&decoded.data, Encoding::Protobuf)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

#[tokio::test]
async fn spans_come_in_by_every_way_and_answers_have_their_encoding() {
    let open = Open::new().await;
    let (status, headers, body) = open.post("/v1/traces", &[JSON], json(1)).await;
    assert_eq!((status, body.as_ref()), (200, &b"{}"[..]));
    assert_eq!(headers["content-type"], "application/json");
    let (status, headers, body) = open.post("/v1/traces", &[PROTOBUF], protobuf(2)).await;
    assert_eq!((status, body.len()), (200, 0));
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let (status, ..) = open
        .post("/v1/traces", &[PROTOBUF, GZIP], gzip(&protobuf(3)))
        .await;
    assert_eq!(status, 200);
    for (id, body, packed) in [(4, protobuf(4), false), (5, gzip(&protobuf(5)), true)] {
        let (message, told) = open.call(EXPORT, body, packed).await;
        assert_eq!(
            (told["grpc-status"].as_bytes(), message.as_ref()),
            (&b"0"[..], &[0u8; 5][..]),
            "{id}"
        );
    }
    for id in 1..=5 {
        assert!(open.has(id).await, "{id}");
    }
    open.tasks.drain(WATCHDOG).await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_is_told_in_the_request_s_encoding() {
    let open = Open::new().await;
    let (status, headers, body) = open.post("/v1/traces", &[JSON], "{").await;
    assert_eq!(
        (status, &headers["content-type"]),
        (400, &HeaderValue::from_static("application/json"))
    );
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told["code"], 3);
    assert!(told["message"].as_str().unwrap().contains("JSON"), "{told}");
    let (status, headers, body) = open.post("/v1/traces", &[PROTOBUF], vec![0xff; 9]).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (400, &HeaderValue::from_static("application/x-protobuf"))
    );
    assert_eq!(body.first_chunk(), Some(&[0x08, 3]));
    let (status, ..) = open.post("/v1/traces", &[PROTOBUF, GZIP], "no gzip").await;
    assert_eq!(status, 400);
    for (expected, path, headers) in [
        (415, "/v1/traces", &[("content-type", "text/plain")][..]),
        (415, "/v1/traces", &[JSON, ("content-encoding", "br")]),
        (404, "/v1/metrics", &[PROTOBUF]),
        (404, "/v1/logs", &[JSON]),
        (404, "/v2/traces", &[JSON]),
        (403, "/v1/traces", &[JSON, ("origin", "http://evil.example")]),
        (421, "/v1/traces", &[JSON, ("host", "evil.example")]),
    ] {
        let (status, ..) = open.post(path, headers, "{}").await;
        assert_eq!(status, expected, "{path} {headers:?}");
    }
    let metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    let (_, told) = open.call(metrics, Vec::new(), false).await;
    assert_eq!(told["grpc-status"], "12");
    let (_, told) = open.call(EXPORT, vec![0xff; 9], false).await;
    assert_eq!(told["grpc-status"], "3");
    assert!(told.contains_key("grpc-message"));
}

#[tokio::test]
async fn a_bad_span_is_refused_and_its_neighbour_taken() {
    let open = Open::new().await;
    let body = json(0).replace("\"spans\":[", &format!("\"spans\":[{},", inner(&json(9))));
    let (status, _, answer) = open.post("/v1/traces", &[JSON], body).await;
    assert_eq!(status, 200);
    let told: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(told["partialSuccess"]["rejectedSpans"], "1");
    assert!(
        told["partialSuccess"]["errorMessage"]
            .as_str()
            .unwrap()
            .contains("trace id")
    );
    assert!(open.has(9).await);
}

/// The span of a body.
fn inner(body: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    value["resourceSpans"][0]["scopeSpans"][0]["spans"][0].to_string()
}

#[tokio::test]
async fn a_body_has_a_limit_unpacked_too() {
    let open = Open::new().await;
    let bomb = gzip(&vec![b' '; BODY_BYTES_MAX + 1]);
    assert!(bomb.len() < 100_000);
    let (status, ..) = open.post("/v1/traces", &[JSON, GZIP], bomb.clone()).await;
    assert_eq!(status, 413);
    let (_, told) = open.call(EXPORT, bomb, true).await;
    assert_eq!(told["grpc-status"], "8");
}

#[tokio::test]
async fn who_comes_while_all_places_are_taken_is_told_to_come_back() {
    let open = Open::new().await;
    let door = Arc::new(Door::new(
        open.traces.clone(),
        Arc::new(Intake::new(Clock::system())),
    ));
    let mut turns = Vec::new();
    for _ in 0..BODIES_MAX {
        turns.push(door.turn().await.unwrap());
    }
    let failure = door.turn().await.unwrap_err();
    assert_eq!((failure.status().as_u16(), failure.grpc_code()), (429, 14));
    let response = told(&failure, Encoding::Protobuf);
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    turns.pop();
    assert!(door.turn().await.is_ok());
}

#[tokio::test]
async fn what_is_stored_goes_on_and_comes_in_the_same_and_no_circle_goes_on_for_ever() {
    let (here, there) = (Open::new().await, Open::new().await);
    let (tap, spans) = here.traces.tap().unwrap();
    assert!(here.traces.tap().is_none(), "there is one tap");
    let exporter = Exporter::new(endpoint(&there.http).unwrap());
    let (figures, to, ended) = (exporter.figures(), endpoint(&there.http).unwrap(), Tasks::new());
    let counted = Arc::clone(&tap);
    let run = exporter.run(spans, move |count| counted.taken(count), ended.token());
    ended.spawn("export", run);
    // The other one sends everything back.
    let (_back_tap, back) = there.traces.tap().unwrap();
    let exporter = Exporter::new(endpoint(&here.http).unwrap());
    let back_figures = exporter.figures();
    ended.spawn("export", exporter.run(back, |_| {}, ended.token()));
    for id in 1..=20 {
        here.post("/v1/traces", &[JSON], json(id)).await;
    }
    let shown = |figures: &Figures| figures.show(&to, 0, 0);
    let arrived = tokio::time::timeout(WATCHDOG, async {
        while shown(&figures).sent < 20 || shown(&back_figures).sent < 20 {
            tokio::task::yield_now().await;
        }
    });
    arrived.await.unwrap();
    for id in 1..=20 {
        assert!(there.has(id).await, "{id}");
        let (one, other) = (here.traces.whole(TraceId(id)), there.traces.whole(TraceId(id)));
        assert_eq!(one.await.unwrap(), other.await.unwrap());
    }
    here.traces.flush().await.unwrap();
    ended.drain(WATCHDOG).await.unwrap();
    assert_eq!((shown(&figures).sent, shown(&back_figures).sent), (20, 20));
    let (waiting, dropped) = tap.counts();
    assert_eq!(
        (waiting, dropped, shown(&figures).dropped, shown(&figures).error),
        (0, 0, 0, None)
    );
}

#[tokio::test]
async fn a_collector_that_refuses_is_told_of_and_its_spans_are_counted() {
    let here = Open::new().await;
    let (tap, spans) = here.traces.tap().unwrap();
    let to: http::Uri = format!("{}/v1/metrics", here.http).parse().unwrap();
    let exporter = Exporter::new(to.clone());
    let (figures, ended) = (exporter.figures(), Tasks::new());
    let counted = Arc::clone(&tap);
    ended.spawn(
        "export",
        exporter.run(spans, move |count| counted.taken(count), ended.token()),
    );
    here.post("/v1/traces", &[JSON], json(1)).await;
    let refused = tokio::time::timeout(WATCHDOG, async {
        while figures.show(&to, 0, 0).dropped == 0 {
            tokio::task::yield_now().await;
        }
    });
    refused.await.unwrap();
    let shown = figures.show(&to, 0, 0);
    assert_eq!((shown.sent, shown.dropped), (0, 1));
    assert!(shown.error.unwrap().contains("404"));
    ended.drain(WATCHDOG).await.unwrap();
}
