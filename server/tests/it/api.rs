//! Statuses and bodies of `/api/v1`, and the event stream.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Events, Home, Req};

/// A problem's body without what differs from run to run.
fn told(home: &Home, answer: &Answer, status: u16) -> Value {
    answer.problem(status);
    let text = answer.text().replace(home.api.address(), "HOST");
    let port = home.api.address().rsplit(':').next().unwrap_or_default();
    serde_json::from_str(&text.replace(port, "PORT")).expect("a problem is JSON")
}

#[test]
fn problems_say_what_why_and_what_to_do() {
    let home = Home::with(&["currency"]).start();
    let send = |request: Req| home.api.send(request);
    let put = || Req::new(Method::PUT, "/api/v1/placement");

    let answer = send(Req::get("/api/v1/status").header("host", "cleave.example"));
    insta::assert_json_snapshot!("foreign_host", told(&home, &answer, 421));
    let answer = send(
        put()
            .header("origin", "http://shop.example")
            .json(&json!({"mode": "apart"})),
    );
    insta::assert_json_snapshot!("foreign_origin", told(&home, &answer, 403));
    let answer = send(put().body("text/plain", "{}"));
    insta::assert_json_snapshot!("content_type", told(&home, &answer, 415));
    let answer = send(Req::get("/api/v1/nothing"));
    insta::assert_json_snapshot!("unknown_path", told(&home, &answer, 404));
    let answer = send(Req::new(Method::DELETE, "/api/v1/placement"));
    insta::assert_json_snapshot!("other_method", told(&home, &answer, 405));
    let answer = send(put().body("application/json", "{\"mode\":"));
    insta::assert_json_snapshot!("broken_json", told(&home, &answer, 400));
    let answer = send(put().json(&json!({"mode": "groups", "groups": [["currency", "nobody"]]})));
    insta::assert_json_snapshot!("unknown_handler", told(&home, &answer, 422));
    let amount = json!({"currency": "EUR", "units": 1, "nanos": "few"});
    let answer = home.call("shop:currency/currency", "convert", &json!([amount, "USD"]));
    insta::assert_json_snapshot!("unfitting_json", told(&home, &answer, 400));
    let answer = send(Req::get("/api/v1/traces?limit=0"));
    insta::assert_json_snapshot!("bad_query", told(&home, &answer, 400));
    let answer = send(Req::get("/api/v1/edges/history?minutes=0"));
    insta::assert_json_snapshot!("bad_minutes", told(&home, &answer, 400));
    let answer = send(Req::get("/api/v1/map?width=9"));
    insta::assert_json_snapshot!("bad_width", told(&home, &answer, 400));
    let answer = send(Req::get("/api/v1/map"));
    insta::assert_json_snapshot!("missing_width", told(&home, &answer, 400));
    let answer = send(Req::get("/api/v1/queues/nobody.email/messages"));
    insta::assert_json_snapshot!("unknown_queue", told(&home, &answer, 404));

    // What was refused changed nothing.
    assert_eq!(home.placement().generation, 1);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(Req::get(path)).status.as_u16(), 200, "{path}");
    }
}

#[test]
fn the_event_stream_begins_with_everything_and_tells_what_changes() {
    let mut home = Home::with(&["currency"]).start();
    let mut events = Events::open(&home.api);
    let mut missing = vec!["status", "handlers", "nodes", "placement", "queues", "edges"];
    while !missing.is_empty() {
        let (name, _) = events.next().expect("the stream goes on");
        missing.retain(|kind| *kind != name);
    }
    let mut until = |name: &str, wanted: &dyn Fn(&Value) -> bool| {
        loop {
            let (kind, data) = events.next().expect("the stream goes on");
            if kind == name && wanted(&data) {
                return data;
            }
        }
    };
    home.drop_in("hello", "examples/hello");
    until("handlers", &|handlers| {
        handlers.as_array().is_some_and(|list| list.len() == 2)
    });
    home.place_apart();
    until("placement", &|placement| {
        placement["settled"] == json!(true) && placement["actual"]["mode"] == json!("apart")
    });
    let answer: Value = home
        .call("example:hello/greeter", "greet", &json!(["Ada"]))
        .expect();
    let id = answer["trace_id"].clone();
    until("traces", &|traces| {
        traces
            .as_array()
            .is_some_and(|list| list.iter().any(|trace| trace["trace_id"] == id))
    });

    // An open stream does not keep home from ending.
    let (status, _) = home.interrupt();
    assert!(status.success(), "{status}");
    while events.next().is_some() {}
}
