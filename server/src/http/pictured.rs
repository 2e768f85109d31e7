//! `heat` and `facets` from outside: statuses and bodies as snapshots.
//!
//! The trace is stored anew, a few seconds old; its second is written as 1700000000 in the snapshots.

use serde_json::Value;

use super::testing::Doors;
use crate::clock::Clock;

#[tokio::test]
async fn pictures_of_traces_and_their_refusals() {
    let doors = Doors::open().await;
    let second = (Clock::system().unix_ns() / 1_000_000_000 - 10).to_string();
    let file = include_str!("readers/trace.json").replace("1700000000", &second);
    let answer = doors.json("POST", "/api/v1/traces/import", &file).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());

    let get = async |path: &str| {
        let answer = doors.get(&format!("/api/v1/{path}")).await;
        let text = answer.text().replace(&second, "1700000000");
        let body: Value = serde_json::from_str(&text).expect("JSON");
        serde_json::json!({ "status": answer.status.as_u16(), "body": body })
    };
    insta::assert_json_snapshot!("heat", get("heat?columns=40&rows=12&handler=web-shop").await);
    insta::assert_json_snapshot!(
        "heat_none",
        get("heat?q=%7B%20handler%20%3D%20nobody%20%7D").await
    );
    insta::assert_json_snapshot!("heat_columns", get("heat?columns=many").await);
    insta::assert_json_snapshot!("heat_rows", get("heat?rows=61").await);
    insta::assert_json_snapshot!("heat_pages", get("heat?limit=5").await);
    insta::assert_json_snapshot!("heat_filter", get("heat?colour=red").await);
    insta::assert_json_snapshot!("facets", get("facets?status=error").await);
    insta::assert_json_snapshot!("facets_pages", get("facets?before=5").await);
    insta::assert_json_snapshot!(
        "facets_query",
        get("facets?q=%7B%20duration%20%3E%205%20%7D").await
    );
}
