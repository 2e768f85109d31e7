//! The APIs of Jaeger and Tempo, files of traces, and what our own page of a trace asks for: requests as their clients send
//! them, answers as snapshots.
//!
//! The trace is stored anew in each test, a few seconds old; its second is written as 1700000000 in the snapshots.

use protocol::TraceId;
use serde_json::Value;

use super::testing::{Answer, Doors, request};
use crate::clock::Clock;

const TRACE: &str = "5b8efff798038103d269b633813fc60c";

/// Doors behind which a trace of a foreign service and one of ours are stored, and the second in which they began.
async fn stored() -> (Doors, String) {
    let doors = Doors::open().await;
    let second = (Clock::system().unix_ns() / 1_000_000_000 - 10).to_string();
    let file = include_str!("readers/trace.json").replace("1700000000", &second);
    let answer = doors.json("POST", "/api/v1/traces/import", &file).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    assert_eq!(answer.json()["refused"], 0);
    (doors, second)
}

fn shown(answer: &Answer, second: &str) -> Value {
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    let text = answer.text().replace(second, "1700000000");
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn jaeger_s_present_ui_is_answered() {
    let (doors, second) = stored().await;
    let get = async |path: &str| shown(&doors.get(&format!("/jaeger/api/v3/{path}")).await, &second);
    insta::assert_json_snapshot!("jaeger_services", get("services").await);
    insta::assert_json_snapshot!(
        "jaeger_operations",
        get("operations?service=web-shop&spanKind=server").await
    );
    insta::assert_json_snapshot!(
        "jaeger_trace",
        get(&format!("traces/{TRACE}?rawTraces=false")).await
    );
    let time = "query.startTimeMin=2020-01-01T00:00:00.000000000Z&query.startTimeMax=2100-01-01T00:00:00Z";
    let search = format!(
        "trace-summaries?query.serviceName=web-shop&query.operationName=GET%20%2Fcart&{time}&query.searchDepth=20\
         &query.attributes=%7B%22http.response.status_code%22%3A%22500%22%7D&query.durationMin=1ms"
    );
    insta::assert_json_snapshot!("jaeger_summaries", get(&search).await);
    let found = get(&search.replace("trace-summaries", "traces")).await;
    assert_eq!(found, get(&format!("traces/{TRACE}")).await);
    let none = doors.get("/jaeger/api/v3/traces?query.service_name=nobody").await;
    assert_eq!(none.status.as_u16(), 404);
    assert_eq!(none.json()["error"]["message"], "No traces found");
    assert_eq!(get("dependencies").await["dependencies"], serde_json::json!([]));
    for bad in [
        "traces?query.startTimeMin=now",
        "traces?query.attributes=x",
        "traces/zz",
        "operations",
    ] {
        let answer = doors.get(&format!("/jaeger/api/v3/{bad}")).await;
        assert_eq!(answer.status.as_u16(), 400, "{bad}");
        assert_eq!(answer.json()["error"]["httpCode"], 400);
    }
}

#[tokio::test]
async fn grafana_s_jaeger_source_is_answered() {
    let (doors, second) = stored().await;
    let get = async |path: &str| shown(&doors.get(&format!("/jaeger/api/{path}")).await, &second);
    insta::assert_json_snapshot!("jaeger_v1_services", get("services").await);
    insta::assert_json_snapshot!(
        "jaeger_v1_operations",
        get("services/Web%20Shop/operations").await
    );
    insta::assert_json_snapshot!(
        "jaeger_v1_trace",
        get(&format!("traces/{TRACE}?start=1&end=2")).await
    );
    let search = "traces?service=web-shop&tags=%7B%22error%22%3A%22true%22%7D&minDuration=1ms&limit=5";
    assert_eq!(
        get(search).await["data"],
        get(&format!("traces/{TRACE}")).await["data"]
    );
    assert_eq!(
        get("traces?service=web-shop&minDuration=1h").await["data"],
        serde_json::json!([])
    );
    let missing = doors.get(&format!("/jaeger/api/traces/{:032x}", 77)).await;
    assert_eq!(missing.status.as_u16(), 404);
    assert_eq!(missing.json()["errors"][0]["msg"], "trace not found");
}

#[tokio::test]
async fn grafana_s_tempo_source_is_answered() {
    let (doors, second) = stored().await;
    let get = async |path: &str| shown(&doors.get(&format!("/tempo/api/{path}")).await, &second);
    assert_eq!(doors.get("/tempo/api/echo").await.text(), "echo");
    insta::assert_json_snapshot!("tempo_buildinfo", get("status/buildinfo").await);
    insta::assert_json_snapshot!("tempo_trace_v2", get(&format!("v2/traces/{TRACE}")).await);
    let search = "search?q=%7Bresource.service.name%3D%22Web%20Shop%22%20%26%26%20duration%3E1ms%20%26%26%20status%3Derror%7D\
                  &limit=20&spss=3&start=1600000000&end=4000000000";
    insta::assert_json_snapshot!("tempo_search", get(search).await);
    insta::assert_json_snapshot!("tempo_tags_v2", get("v2/search/tags?scope=span").await);
    insta::assert_json_snapshot!(
        "tempo_values_v2",
        get("v2/search/tag/resource.service.name/values?q=%7B%7D").await
    );
    insta::assert_json_snapshot!("tempo_keywords", get("v2/search/tag/status/values").await);
    let tags = get("search/tags").await;
    assert!(
        tags["tagNames"]
            .as_array()
            .unwrap()
            .contains(&"http.response.status_code".into())
    );
    let bad = doors.get("/tempo/api/search?q=%7B%7D%20%7C%20rate()").await;
    assert_eq!(bad.status.as_u16(), 400);
    assert!(bad.text().starts_with("invalid TraceQL query"), "{}", bad.text());
    assert_eq!(doors.get("/tempo/api/nothing").await.status.as_u16(), 404);

    // Grafana asks for protobuf, of either version.
    for path in ["traces", "v2/traces"] {
        let address = format!("{}/tempo/api/{path}/{TRACE}", doors.ui);
        let answer = doors
            .send(request(
                "GET",
                &address,
                &[("accept", "application/protobuf")],
                "",
            ))
            .await;
        assert_eq!(answer.headers["content-type"], "application/protobuf");
        let mut bytes = answer.body.as_ref();
        if path == "v2/traces" {
            // The trace is field 1; its length takes two bytes.
            let (head, rest) = bytes.split_at(3);
            assert_eq!(
                (head[0], (head[1] & 0x7f) as usize | (head[2] as usize) << 7),
                (0x0a, rest.len())
            );
            bytes = rest;
        }
        let decoded = crate::otlp::decode(bytes, crate::otlp::Encoding::Protobuf).unwrap();
        let whole = doors
            .context
            .traces
            .whole(TRACE.parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(decoded.data, crate::otlp::traces_data(&whole.spans));
    }
}

#[tokio::test]
async fn a_trace_that_was_exported_imports_as_it_was() {
    let (doors, _) = stored().await;
    let id: TraceId = TRACE.parse().unwrap();
    let before = doors.context.traces.whole(id).await.unwrap().unwrap();
    let export = doors.get(&format!("/api/v1/traces/{TRACE}/export")).await;
    let name = export.headers["content-disposition"].to_str().unwrap();
    assert!(name.contains(&format!("trace-{TRACE}.json")), "{name}");
    let other = Doors::open().await;
    for _ in 0..2 {
        let answer = other.json("POST", "/api/v1/traces/import", export.text()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["traces"][0].as_str()),
            (200, Some(TRACE))
        );
        let mut after = other.context.traces.whole(id).await.unwrap().unwrap();
        let mut spans = before.spans.clone();
        spans.sort_by_key(|span| span.span_id);
        after.spans.sort_by_key(|span| span.span_id);
        assert_eq!(after.spans, spans);
        assert_eq!(after.summary, before.summary);
        let again = other.get(&format!("/api/v1/traces/{TRACE}/export")).await;
        assert_eq!(again.body, export.body);
    }
    let missing = doors.get(&format!("/api/v1/traces/{:032x}/export", 77)).await;
    assert_eq!(missing.status.as_u16(), 404);
    for (bad, status) in [("[]", 400), ("{\"resourceSpans\":7}", 400)] {
        let answer = doors.json("POST", "/api/v1/traces/import", bad).await;
        assert_eq!(answer.status.as_u16(), status, "{bad}");
    }
}

#[tokio::test]
async fn our_own_page_of_a_trace_is_answered() {
    let (doors, second) = stored().await;
    let get = async |path: &str| shown(&doors.get(&format!("/api/v1/{path}")).await, &second);
    insta::assert_json_snapshot!("page_rows", get(&format!("traces/{TRACE}/rows?head=true")).await);
    let strip = format!("traces/{TRACE}/overview?columns=16&names=true");
    insta::assert_json_snapshot!("page_overview", get(&strip).await);
    insta::assert_json_snapshot!("page_path", get(&format!("traces/{TRACE}/path")).await);
    let call = format!("traces/{TRACE}/spans/00000000000000a1");
    insta::assert_json_snapshot!("page_call", get(&call).await);
    insta::assert_json_snapshot!("page_diff", get(&format!("diff?a={TRACE}&b={TRACE}")).await);
}

#[tokio::test]
async fn what_the_page_of_a_trace_cannot_have_is_told_with_its_reason() {
    let (doors, _) = stored().await;
    let mut told = serde_json::Map::new();
    let nobody = format!("{:032x}", 77);
    for (path, status) in [
        (format!("traces/{nobody}/rows"), 404),
        (format!("traces/{nobody}/overview"), 404),
        (format!("traces/{nobody}/path"), 404),
        (format!("traces/{nobody}/spans/00000000000000a1"), 404),
        (format!("traces/{TRACE}/spans/00000000000000ee"), 404),
        (format!("traces/{TRACE}/spans/zz"), 400),
        (format!("traces/{TRACE}/rows?count=0"), 400),
        (format!("traces/{TRACE}/rows?count=501"), 400),
        (format!("traces/{TRACE}/rows?collapsed=r12,x"), 400),
        (format!("traces/{TRACE}/rows?colour=red"), 400),
        (format!("traces/{TRACE}/overview?columns=15"), 400),
        (format!("diff?a={TRACE}"), 400),
        (format!("diff?a={TRACE}&b={nobody}"), 400),
        (format!("diff?a={TRACE}&b=colour%3Dred"), 400),
    ] {
        let answer = doors.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text());
        told.insert(path, answer.json());
    }
    insta::assert_json_snapshot!("page_problems", told);
}
