//! Both doors from outside, over a fake home.

use std::sync::atomic::Ordering;

use http::Request;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use protocol::span::Value;
use protocol::{QueueName, TraceId};

use super::testing::{Answer, Doors, INTERFACE, WATCHDOG, name, request};
use super::*;
use crate::queue::NewMessage;
use crate::telemetry::fields;

fn trace_id(headers: &http::HeaderMap) -> TraceId {
    headers["x-trace-id"].to_str().unwrap().parse().unwrap()
}

/// The answers about one trace that are read in parts agree with each other.
async fn told_in_windows(doors: &Doors, id: TraceId) {
    let rows = doors
        .get(&format!("/api/v1/traces/{id}/rows?head=true"))
        .await
        .json();
    let first = &rows["rows"][0];
    assert_eq!(rows["total"], rows["head"]["rows"], "{rows:#}");
    assert_eq!(
        rows["words"][first["handler"].as_u64().unwrap() as usize],
        "ingress"
    );
    let overview = doors
        .get(&format!("/api/v1/traces/{id}/overview?columns=16"))
        .await
        .json();
    assert_eq!(overview["levels"][0][0]["len"], 16, "{overview:#}");
    let span = first["key"].as_str().unwrap();
    let call = doors
        .get(&format!("/api/v1/traces/{id}/spans/{span}"))
        .await
        .json();
    assert_eq!(call["own"]["span"]["span_id"], *span, "{call:#}");
    let path = doors.get(&format!("/api/v1/traces/{id}/path")).await.json();
    assert_eq!(path["legs"][0]["trace_id"], id.to_string());
    assert_eq!(path["legs"][0]["is_critical"], true);
    let diff = doors.get(&format!("/api/v1/diff?a={id}&b={id}")).await.json();
    assert_eq!(
        (&diff["a"], &diff["whole"]["by_ns"]),
        (&diff["b"], &serde_json::json!(0))
    );
}

#[tokio::test]
async fn a_request_becomes_a_call_and_a_trace() {
    let doors = Doors::open().await;
    let answer = doors
        .send(request(
            "POST",
            &format!("{}/cart?x=1", doors.ingress),
            &[],
            "four",
        ))
        .await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "POST /cart?x=1 4"));
    let id = trace_id(&answer.headers);
    doors.context.traces.flush().await.unwrap();
    let detail = doors.context.traces.get(id).await.unwrap().unwrap();
    told_in_windows(&doors, id).await;
    assert_eq!(detail.summary.name, "POST /cart");
    assert_eq!((detail.spans.len(), detail.orphans), (2, 0));
    let (root, call) = (&detail.spans[0].span, &detail.spans[1].span);
    assert_eq!(call.parent_id, Some(root.span_id));
    assert!(call.duration_ns <= root.duration_ns);
    let status = root
        .attributes
        .iter()
        .find(|(key, _)| **key == *fields::HTTP_RESPONSE_STATUS_CODE);
    assert_eq!(status.unwrap().1, Value::Int(200));
    let edge = &doors.context.edges.snapshot()[0];
    assert_eq!((edge.caller.clone(), edge.calls), (HandlerName::ingress(), 1));
}

#[tokio::test]
async fn a_trace_from_outside_goes_on() {
    let doors = Doors::open().await;
    let inbound = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let address = format!("{}/~till/x", doors.ingress);
    let answer = doors
        .send(request("GET", &address, &[("traceparent", inbound)], ""))
        .await;
    assert_eq!(answer.text(), "GET /x 0");
    assert_eq!(answer.headers["x-trace-id"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn failures_are_pages_for_people_and_problems_for_programs() {
    let doors = Doors::open().await;
    for (path, status) in [
        ("/fail/4", 502),
        ("/fail/5", 504),
        ("/fail/7", 503),
        ("/~nobody/", 404),
        ("/~state/", 404),
    ] {
        let address = format!("{}{path}", doors.ingress);
        let page = doors
            .send(request("GET", &address, &[("accept", "text/html")], ""))
            .await;
        assert_eq!(page.status.as_u16(), status, "{path}");
        assert!(
            page.headers[CONTENT_TYPE]
                .to_str()
                .unwrap()
                .starts_with("text/html")
        );
        assert!(
            page.text().contains(&trace_id(&page.headers).to_string()),
            "{}",
            page.text()
        );
        assert!(!page.text().contains("<failed>"), "{}", page.text());
        assert_eq!(page.headers.contains_key(RETRY_AFTER), status == 503, "{path}");
        let problem = doors
            .send(request("GET", &address, &[("accept", "application/json")], ""))
            .await;
        assert_eq!(problem.headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(problem.json()["status"], status);
        assert_eq!(problem.json()["trace_id"], trace_id(&problem.headers).to_string());
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let doors = Doors::open().await;
    let address = format!("{}/", doors.ingress);
    let largest = vec![0; protocol::exchange::REQUEST_BYTES_MAX];
    assert_eq!(
        doors
            .send(request("POST", &address, &[], largest.clone()))
            .await
            .status
            .as_u16(),
        200
    );
    let larger = [largest, vec![0]].concat();
    assert_eq!(
        doors
            .send(request("POST", &address, &[], larger))
            .await
            .status
            .as_u16(),
        413
    );
}

/// Requests that are answered with a problem: its status and its code.
const PROBLEMS: &[(&str, &str, u16, &str)] = &[
    ("GET", "/api/v1/nothing", 404, "not-found"),
    ("GET", "/api/v2/handlers", 404, "not-found"),
    ("GET", "/api", 404, "not-found"),
    ("PUT", "/api/v1/status", 405, "method-not-allowed"),
    ("POST", "/traces", 405, "method-not-allowed"),
    ("GET", "/api/v1/traces/xyz", 400, "invalid"),
    ("GET", "/api/v1/traces?limit=0", 400, "invalid"),
    ("GET", "/api/v1/traces?colour=red", 400, "invalid"),
    (
        "GET",
        "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736",
        404,
        "not-found",
    ),
    ("GET", "/api/v1/traces/xyz/rows", 400, "invalid"),
    (
        "GET",
        "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736/rows",
        404,
        "not-found",
    ),
    (
        "GET",
        "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736/overview",
        404,
        "not-found",
    ),
    (
        "GET",
        "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736/rows?count=501",
        400,
        "invalid",
    ),
    (
        "GET",
        "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736/spans/0",
        400,
        "invalid",
    ),
    ("GET", "/api/v1/diff?a=x", 400, "invalid"),
    ("GET", "/api/v1/diff?a=min_ms%3D5&b=colour%3Dred", 400, "invalid"),
    ("GET", "/api/v1/handlers/nobody", 404, "not-found"),
    ("GET", "/api/v1/queues/no.queue/messages", 404, "not-found"),
    ("PUT", "/api/v1/handlers/till", 415, "unsupported-media-type"),
    ("DELETE", "/api/v1/handlers/nobody", 404, "not-found"),
];

#[tokio::test]
async fn the_ui_s_port_is_guarded_and_what_is_not_there_is_a_problem() {
    let doors = Doors::open().await;
    let address = format!("{}/api/v1/status", doors.ui);
    let foreign = doors
        .send(request("GET", &address, &[("host", "evil.example")], ""))
        .await;
    assert_eq!(
        (foreign.status.as_u16(), foreign.json()["code"].as_str()),
        (421, Some("host-not-allowed"))
    );
    assert_eq!(foreign.headers["x-content-type-options"], "nosniff");
    for (method, path, status, code) in PROBLEMS {
        let answer = doors.json(method, path, "").await;
        let problem = answer.json();
        assert_eq!(
            (answer.status.as_u16(), problem["code"].as_str()),
            (*status, Some(*code)),
            "{method} {path}"
        );
        assert_eq!(
            answer.headers[CONTENT_TYPE], "application/problem+json",
            "{method} {path}"
        );
    }
    assert_eq!(doors.get("/healthz").await.text(), "ok\n");
    assert_eq!(doors.get("/readyz").await.text(), "ready\n");
    assert!(
        doors.get("/traces").await.headers[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
}

#[tokio::test]
async fn lists_are_pages() {
    let doors = Doors::open().await;
    for (path, count) in [
        ("handlers", 1),
        ("nodes", 1),
        ("edges", 0),
        ("queues", 0),
        ("traces", 0),
    ] {
        let answer = doors.get(&format!("/api/v1/{path}")).await;
        assert_eq!(
            answer.json()["items"].as_array().map(Vec::len),
            Some(count),
            "{path}"
        );
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
    }
    assert_eq!(
        doors.get("/api/v1/handlers/till").await.json()["wit"],
        "world till {}"
    );
}

#[tokio::test]
async fn a_handler_that_is_none_is_rejected_with_its_reason() {
    let doors = Doors::open().await;
    let address = format!("{}/api/v1/handlers/text", doors.ui);
    let wasm = [("content-type", "application/wasm")];
    let answer = doors.send(request("PUT", &address, &wasm, "hello")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["code"].as_str()),
        (422, Some("handler-rejected"))
    );
    assert!(answer.json()["detail"].as_str().unwrap().contains("text"));
    assert_eq!(
        doors
            .json("DELETE", "/api/v1/handlers/till", "")
            .await
            .status
            .as_u16(),
        204
    );
}

#[tokio::test]
async fn functions_are_called_by_hand_and_always_traced() {
    let doors = Doors::open().await;
    for path in [
        "shop:till/till/add",
        "till@shop:till/till@0.1.0/add",
        "shop%3Atill%2Ftill/add",
        "till%40shop:till%2Ftill@0.1.0/%61dd",
    ] {
        let answer = doors
            .json("POST", &format!("/api/v1/call/{path}"), r#"{"args": [5, "x"]}"#)
            .await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["result"]),
            (200, &serde_json::json!(7)),
            "{path}"
        );
        let id = answer.json()["trace_id"].as_str().unwrap().parse().unwrap();
        doors.context.traces.flush().await.unwrap();
        let detail = doors.context.traces.get(id).await.unwrap().unwrap();
        assert_eq!(detail.summary.name, "call shop:till/till.add");
        assert_eq!((detail.spans.len(), detail.orphans), (2, 0));
    }
}

#[tokio::test]
async fn json_that_does_not_fit_is_pointed_at() {
    let doors = Doors::open().await;
    for (path, body, status, pointer, hint) in [
        (
            "shop:till/till/add",
            r#"{"args": ["five", "x"]}"#,
            400,
            Some("/args/0"),
            "u32",
        ),
        (
            "shop:till/till/add",
            r#"{"args": {"amount": 1}}"#,
            400,
            Some("/args"),
            "note",
        ),
        (
            "shop:till/till/add",
            r#"{"args": [1, "x"], "timeout_ms": 0}"#,
            400,
            Some("/timeout_ms"),
            "300000",
        ),
        (
            "shop:till/till/add",
            r#"{"arguments": []}"#,
            400,
            Some("/arguments"),
            "`args`",
        ),
        (
            "shop:till/till/add",
            r#"{"args": {"amount": 1, "nota": "x"}}"#,
            400,
            Some("/args/nota"),
            "did you mean `note`?",
        ),
        (
            "shop:till%2Ftill/add",
            r#"{"args": ["five", "x"]}"#,
            400,
            Some("/args/0"),
            "u32",
        ),
        ("shop:till%2Ftill%2Fadd", "{}", 404, None, "no path of this API"),
        ("shop:till/%ff/add", "{}", 400, None, "UTF-8"),
        ("shop:till/till/add", "{", 400, None, "line 1"),
        ("shop:till/till/ad", "{}", 404, None, "did you mean `add`?"),
        (
            "shop:til/till/add",
            "{}",
            404,
            None,
            "did you mean `shop:till/till`?",
        ),
        ("other@shop:till/till/add", "{}", 404, None, "no handler `other`"),
        ("Shop/till/add", "{}", 400, None, "interface name"),
    ] {
        let answer = doors.json("POST", &format!("/api/v1/call/{path}"), body).await;
        let problem = answer.json();
        assert_eq!(answer.status.as_u16(), status, "{path} {body}: {problem}");
        assert_eq!(problem["pointer"].as_str(), pointer, "{path} {body}: {problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(hint),
            "{path} {body}: {problem}"
        );
    }
}

#[tokio::test]
async fn placements_are_accepted_or_refused() {
    let doors = Doors::open().await;
    let accepted = doors
        .json("PUT", "/api/v1/placement", r#"{"mode": "apart"}"#)
        .await;
    assert_eq!(
        (accepted.status.as_u16(), &accepted.json()["generation"]),
        (202, &serde_json::json!(2))
    );
    let status = doors.get("/api/v1/placement").await.json();
    assert_eq!(
        (status["desired"]["mode"].as_str(), status["settled"].as_bool()),
        (Some("apart"), Some(false))
    );
    let groups = r#"{"mode": "groups", "groups": [["nobody"]]}"#;
    let refused = doors.json("PUT", "/api/v1/placement", groups).await;
    assert_eq!(
        (refused.status.as_u16(), refused.json()["code"].as_str()),
        (422, Some("placement-refused"))
    );
    for (body, pointer, says) in [
        (r#"{"mode": "scattered"}"#, Some("/mode"), "scattered"),
        (
            r#"{"mode": "groups", "groups": [["till", "No Name"]]}"#,
            Some("/groups/0/1"),
            "No Name",
        ),
        (r#"{"mode": "together", "group": []}"#, Some("/group"), "`groups`"),
        (r#"{"groups": []}"#, Some(""), "missing field `mode`"),
        (r#"{"mode": "together"} x"#, None, "line 1 column"),
        (r#"{"mode": "#, None, "line 1 column"),
    ] {
        let answer = doors.json("PUT", "/api/v1/placement", body).await;
        let problem = answer.json();
        assert_eq!(answer.status.as_u16(), 400, "{body}: {problem}");
        assert_eq!(problem["pointer"].as_str(), pointer, "{body}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{body}: {problem}");
        assert_eq!(detail.contains("line"), pointer.is_none(), "{body}: {problem}");
    }
}

#[tokio::test]
async fn scaling_and_draining_are_asked_of_the_placement() {
    let doors = Doors::open().await;
    let check = |answer: &Answer, status: u16, says: &str| {
        let problem = answer.json();
        assert_eq!(answer.status.as_u16(), status, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    };
    let scaled = doors
        .json("PATCH", "/api/v1/placement", r#"{"replicas": {"nobody": 2}}"#)
        .await;
    check(&scaled, 422, "no handler is called `nobody`");
    let scaled = doors
        .json("PATCH", "/api/v1/placement", r#"{"replicas": {"till": -1}}"#)
        .await;
    check(&scaled, 400, "-1");
    let scaled = doors
        .json("PATCH", "/api/v1/placement", r#"{"mode": "apart"}"#)
        .await;
    check(&scaled, 400, "`replicas`");
    let put = r#"{"mode": "apart", "replicas": {"till": 17}}"#;
    check(
        &doors.json("PUT", "/api/v1/placement", put).await,
        422,
        "write 1 to 16",
    );
    // Replicas that a placement brings along stay through one that says nothing of them.
    for body in [
        r#"{"mode": "apart", "replicas": {"till": 3, "cart": 1}}"#,
        r#"{"mode": "together"}"#,
    ] {
        assert_eq!(
            doors.json("PUT", "/api/v1/placement", body).await.status.as_u16(),
            202
        );
        let status = doors.get("/api/v1/placement").await.json();
        assert_eq!(
            status["desired"]["replicas"],
            serde_json::json!({"till": 3}),
            "{body}"
        );
    }
    check(
        &doors.json("POST", "/api/v1/nodes/till/drain", "{}").await,
        404,
        "no node is called `till`",
    );
    check(
        &doors.json("POST", "/api/v1/nodes/home/drain", "{}").await,
        422,
        "Ctrl-C",
    );
}

#[tokio::test]
async fn messages_are_shown_with_their_arguments() {
    let doors = Doors::open().await;
    let queue = QueueName::parse("cart.till").unwrap();
    let known = doors
        .context
        .home
        .function(None, &InterfaceName::parse(INTERFACE).unwrap(), "add")
        .unwrap();
    let args = crate::runtime::json::encode_arguments(&known.ty, &serde_json::json!([5, "x"])).unwrap();
    for _ in 0..3 {
        let message = NewMessage {
            handler: Some(name("till")),
            function: Some((*known.path).clone()),
            ..NewMessage::plain(queue.clone(), name("cart"), args.clone())
        };
        doors.context.queues.enqueue(message).await.unwrap();
    }
    let path = "/api/v1/queues/cart.till/messages?state=ready&limit=2";
    let page = doors.get(path).await.json();
    assert_eq!(page["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        page["items"][0]["arguments"],
        serde_json::json!({"amount": 5, "note": "x"})
    );
    let next = page["next"].as_str().unwrap();
    let rest = doors.get(&format!("{path}&before={next}")).await.json();
    assert_eq!(
        (rest["items"].as_array().map(Vec::len), rest["next"].as_str()),
        (Some(1), None)
    );
    assert_eq!(
        doors
            .get("/api/v1/queues/cart.till/messages?limit=1000")
            .await
            .status
            .as_u16(),
        400
    );
    let retried = doors.json("POST", "/api/v1/queues/cart.till/retry", "").await;
    assert_eq!(
        (retried.status.as_u16(), &retried.json()["retried"]),
        (200, &serde_json::json!(0))
    );
}

/// Reads a stream until its text has all the parts.
async fn read_until(body: &mut Incoming, parts: &[&str]) -> String {
    let mut text = String::new();
    let read = async {
        while !parts.iter().all(|part| text.contains(part)) {
            let frame = body.frame().await.expect("the stream goes on").unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    };
    let in_time = tokio::time::timeout(WATCHDOG, read).await.is_ok();
    assert!(in_time, "{parts:?} did not come: {text}");
    text
}

async fn events(doors: &Doors) -> Incoming {
    let response = doors
        .start(request("GET", &format!("{}/api/v1/events", doors.ui), &[], ""))
        .await;
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    response.into_body()
}

#[tokio::test]
async fn a_reader_gets_every_snapshot_then_what_changes_then_the_end() {
    let doors = Doors::open().await;
    let mut body = events(&doors).await;
    let kinds = [
        "event: status",
        "event: handlers",
        "event: nodes",
        "event: placement",
        "event: queues",
        "event: edges",
    ];
    let first = read_until(&mut body, &kinds).await;
    assert!(first.contains(r#""size_bytes":1"#), "{first}");
    doors.home.is_large.store(true, Ordering::SeqCst);
    doors.home.changes.send_modify(|count| *count += 1);
    read_until(&mut body, &["event: handlers", r#""size_bytes":2"#]).await;
    let answer = doors
        .send(request("GET", &format!("{}/", doors.ingress), &[], ""))
        .await;
    read_until(
        &mut body,
        &["event: traces", &trace_id(&answer.headers).to_string()],
    )
    .await;
    doors.tasks.cancel();
    let end = async { while body.frame().await.is_some_and(|frame| frame.is_ok()) {} };
    tokio::time::timeout(WATCHDOG, end)
        .await
        .expect("the stream ends with the node");
    assert_eq!(doors.tasks.drain(WATCHDOG).await, Ok(()));
}

#[tokio::test]
async fn a_request_in_progress_is_finished_when_the_doors_close() {
    let doors = Doors::open().await;
    let gate: Request<Full<Bytes>> = request("GET", &format!("{}/gate", doors.ingress), &[], "");
    let asking = doors.send(gate);
    let closing = async {
        doors.callee.entered.notified().await;
        doors.tasks.cancel();
        doors.callee.gate.notify_one();
    };
    let (answer, ()) = tokio::join!(asking, closing);
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "GET /gate 0"));
    assert_eq!(doors.tasks.drain(WATCHDOG).await, Ok(()));
}

#[tokio::test]
async fn the_map_the_bill_and_the_hour_are_answered_whole() {
    let doors = Doors::open().await;
    let empty = doors.get("/api/v1/edges/bill").await;
    assert_eq!(
        empty.json(),
        serde_json::json!({"requests": 0, "calls": 0, "edges": []})
    );
    let address = format!("{}/cart", doors.ingress);
    assert_eq!(
        doors
            .send(request("GET", &address, &[], ""))
            .await
            .status
            .as_u16(),
        200
    );

    let map = doors.get("/api/v1/map?width=800").await.json();
    assert_eq!(
        (map["nodes"][0]["name"].as_str(), map["narrow"].as_bool()),
        (Some("home"), Some(false))
    );
    assert_eq!(map["handlers"][0]["name"], "till");
    // The door is no box, so its edge is no line.
    assert_eq!(map["lines"].as_array().map(Vec::len), Some(0));
    let narrow = doors.get("/api/v1/map?width=320&at_unix_ms=5").await.json();
    assert_eq!(narrow["narrow"], true);

    let hour = doors.get("/api/v1/edges/history?minutes=5").await;
    assert_eq!(hour.headers["cache-control"], "no-store");
    let hour = hour.json();
    assert_eq!(hour["bucket_ms"], 10_000);
    assert!(hour["edges"].is_array() && hour["places"].is_array(), "{hour}");
    for path in [
        "map?width=200000",
        "map?width=wide",
        "edges/history?minutes=61",
        "edges/history?hours=1",
    ] {
        let answer = doors.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.status.as_u16(), 400, "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn what_happened_and_what_was_written_is_told_and_a_child_can_be_killed() {
    let doors = Doors::open().await;
    let status = async |method: &str, path: &str, body: &str| match method {
        "GET" => doors.get(path).await.status.as_u16(),
        _ => doors.json(method, path, body).await.status.as_u16(),
    };
    let entries = doors.get("/api/v1/chronicle?limit=2").await;
    let entries: Page<Entry> = serde_json::from_str(entries.text()).unwrap();
    assert_eq!(entries.items.len(), 2);
    for bad in ["limit=0", "limit=1001", "limit=many", "since=1"] {
        let path = format!("/api/v1/chronicle?{bad}");
        assert_eq!(status("GET", &path, "").await, 400, "{bad}");
    }
    assert_eq!(status("GET", "/api/v1/handlers/till/logs", "").await, 200);
    assert_eq!(
        status("GET", "/api/v1/handlers/till/logs?limit=501", "").await,
        400
    );
    assert_eq!(status("GET", "/api/v1/handlers/nobody/logs", "").await, 404);
    let kill = async |node: &str| status("POST", &format!("/api/v1/nodes/{node}/kill"), "{}").await;
    assert_eq!(kill("till").await, 204);
    assert_eq!(kill("home").await, 400);
    assert_eq!(kill("nobody").await, 404);
    assert_eq!(
        status("POST", "/api/v1/nodes/till/kill", "{\"signal\":9}").await,
        400
    );
}
