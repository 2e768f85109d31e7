//! OTLP of the whole product: its doors, where it sends on to, and traces as files.

use std::io::{BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use http::Method;
use serde_json::{Value, json};
use server::clock::Clock;

use crate::support::{Client, Home, Req, cleave, wait_for};

/// A collector that takes everything; hands on the body of each request.
fn collector() -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (bodies, taken) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            // Until the other end closes it, or the test is over.
            while let Some(body) = request(&mut stream) {
                let _ = stream
                    .get_mut()
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                if bodies.send(body).is_err() {
                    return;
                }
            }
        }
    });
    (format!("http://{address}"), taken)
}

/// One request's body.
fn request(stream: &mut impl std::io::BufRead) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            let mut body = vec![0; length];
            stream.read_exact(&mut body).ok()?;
            return Some(body);
        }
    }
}

#[test]
fn spans_go_on_and_come_in_and_traces_are_files() {
    let (to, taken) = collector();
    let rules = format!(
        "[traces]\nsampling = \"all\"\n[otlp]\nlisten = \"127.0.0.1:0\"\ngrpc = \"127.0.0.1:0\"\nexport = \"{to}\"\n"
    );
    let home = Home::with(&["currency"]).rules(&rules).start();
    let status = || home.api.get::<Value>("/api/v1/status")["otlp"].clone();
    let amount = json!({"currency": "EUR", "units": 1, "nanos": 0});
    let answer: Value = home
        .call("shop:currency/currency", "convert", &json!([amount, "USD"]))
        .expect();
    let id = answer["trace_id"].as_str().expect("a call by hand is traced");
    let sent = wait_for("the spans to go on", || {
        let export = status()["export"].clone();
        match export["sent"].as_u64() {
            Some(3) => Ok(export),
            _ => Err(export.to_string()),
        }
    });
    assert_eq!((&sent["dropped"], &sent["waiting"]), (&json!(0), &json!(0)));
    let bodies: Vec<Vec<u8>> = taken.try_iter().collect();
    let name = b"shop:currency/currency.convert";
    assert!(
        bodies
            .iter()
            .any(|body| body.windows(name.len()).any(|window| window == name))
    );

    // A program of another kind continues the trace.
    let door = status()["listen"].as_str().expect("the door is open").to_owned();
    let detail: Value = home.api.get(&format!("/api/v1/traces/{id}"));
    let root = &detail["spans"][0]["span"];
    let start = root["start_unix_ns"].as_u64().expect("a span has a start");
    let span = json!({
        "traceId": id, "spanId": "00000000000000a1", "parentSpanId": root["span_id"], "name": "render", "kind": 1,
        "startTimeUnixNano": (start + 1).to_string(), "endTimeUnixNano": (start + 2).to_string(),
    });
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]});
    let answer = Client::new(&door).send(Req::new(Method::POST, "/v1/traces").json(&body));
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "{}"));
    wait_for("the foreign span", || {
        let detail: Value = home.api.get(&format!("/api/v1/traces/{id}"));
        let spans = detail["spans"].as_array().map(Vec::len);
        (spans == Some(4)).then_some(()).ok_or_else(|| detail.to_string())
    });
    assert_eq!(status()["received"], 1);

    copy(&home, id);
    choose_by_time(&home);
}

/// A trace goes into a file and comes back as it was; what is no trace is refused by its line.
fn copy(home: &Home, id: &str) {
    let file = home.data().join("trace.jsonl").display().to_string();
    cleave(&["trace", id, "--export", &file, "--server", &home.url()]).ok();
    let ran = cleave(&["trace", "--import", &file, "--server", &home.url(), "--json"]).ok();
    assert_eq!(
        (&ran.json()["spans"], &ran.json()["traces"]),
        (&json!(4), &json!([id]))
    );
    cleave(&["trace", "--export", &file, "--server", &home.url()]).ok();
    let ran = cleave(&["trace", "--import", &file, "--server", &home.url()]).ok();
    assert_eq!(ran.stdout.trim(), id);
    std::fs::write(&file, "{\"resourceSpans\": 7}").expect("the file is ours");
    let ran = cleave(&["trace", "--import", &file, "--server", &home.url()]).failed(1);
    assert!(ran.stderr.contains("line 1"), "{}", ran.stderr);
}

/// One trace began within the last hour; more of them than one answer holds are listed all the same.
fn choose_by_time(home: &Home) {
    let listed = |when: [&str; 2], most: &str| {
        let arguments = ["trace", when[0], when[1], "--limit", most];
        let to = ["--server", &home.url(), "--json"];
        let listed = cleave(&[&arguments[..], &to[..]].concat()).ok().json();
        listed["items"].as_array().map(Vec::len)
    };
    assert_eq!(listed(["--since", "1h"], "900"), Some(1));
    assert_eq!(listed(["--until", "1h"], "900"), Some(0));
    cleave(&["trace", "--since", "soon", "--server", &home.url()]).failed(2);

    let start = Clock::system().unix_ns() - 1_000_000_000;
    let spans: Vec<Value> = (1..=600)
        .map(|at| {
            json!({
                "traceId": format!("{at:032x}"), "spanId": format!("{at:016x}"), "name": "one", "kind": 1,
                "startTimeUnixNano": (start + at).to_string(), "endTimeUnixNano": (start + at + 1).to_string(),
            })
        })
        .collect();
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
    let answer = home
        .api
        .send(Req::new(Method::POST, "/api/v1/traces/import").json(&body));
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    assert_eq!(listed(["--since", "1h"], "900"), Some(601));
    assert_eq!(listed(["--since", "1h"], "550"), Some(550));
}
