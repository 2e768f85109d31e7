//! What handlers wrote.

use protocol::span::Log;

use super::*;

fn wrote(span: Span, lines: &[(u64, &str)]) -> Span {
    let logs = lines.iter().map(|(unix_ns, message)| Log {
        unix_ns: *unix_ns,
        level: "info".into(),
        message: (*message).to_owned(),
    });
    Span {
        logs: logs.collect(),
        ..span
    }
}

#[tokio::test]
async fn the_newest_lines_of_a_handler_come_first_and_no_others() {
    let house = House::new().await;
    let other = Span {
        handler: handler("catalog"),
        ..span(1, 2, Some(1))
    };
    house
        .store(vec![
            wrote(span(1, 1, None), &[(10, "first"), (30, "third")]),
            wrote(other, &[(20, "another's")]),
        ])
        .await;
    house
        .store(vec![wrote(span(2, 1, None), &[(20, "second")])])
        .await;
    let texts = async |limit| {
        let lines = house.traces.logs(&handler("cart"), limit).await.unwrap();
        lines.into_iter().map(|line| line.message).collect::<Vec<_>>()
    };
    assert_eq!(texts(None).await, ["third", "second", "first"]);
    assert_eq!(texts(Some(1)).await.len(), 1);
    assert!(house.traces.logs(&handler("cart"), Some(0)).await.is_err());
    let lines = house.traces.logs(&handler("cart"), None).await.unwrap();
    assert_eq!((lines[0].trace_id, lines[0].span_id.0), (TraceId(1), 1));
}
