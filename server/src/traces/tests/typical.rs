//! What calls are made of, over stored spans.

use protocol::span::{CallerStages, Stages, Value};
use protocol::{SpanKind, Transport};

use super::*;
use crate::telemetry::fields;

/// A call of `get` by the cart's client, in a trace of its own.
fn call(trace: u128, placement: &str, transport: Transport, travel: u64) -> Span {
    let mut span = along(span(trace, 1, None), "frontend -> shop:cart/cart");
    span.handler = handler("frontend");
    span.transport = Some(transport);
    span.attributes
        .push((fields::PLACEMENT.into(), Value::Text(placement.into())));
    span.stages = Some(Stages::Caller(CallerStages {
        lift: 10,
        travel,
        ..CallerStages::default()
    }));
    span
}

fn query(caller: &str, function: &str) -> StepsQuery {
    StepsQuery {
        caller: handler(caller),
        function: function.to_owned(),
    }
}

/// Scenario: a function was called while together, then while apart, by its name and under other names.
#[tokio::test]
async fn calls_are_gathered_by_the_way_they_went() {
    let house = House::new().await;
    let together = (1..=3).map(|trace| call(trace, "together", Transport::Direct, 0));
    let apart = (4..=100).map(|trace| call(trace, "apart", Transport::Quic, 500));
    house.store(together.chain(apart).collect()).await;
    house
        .store(vec![
            failed(call(200, "together", Transport::Direct, 9)),
            Span {
                name: "shop:cart/cart.add".into(),
                ..call(201, "together", Transport::Direct, 9)
            },
            Span {
                kind: SpanKind::Server,
                ..call(202, "together", Transport::Direct, 9)
            },
        ])
        .await;

    let found = house
        .traces
        .steps(&query("frontend", "shop:cart/cart.get"))
        .await
        .unwrap();
    let ways: Vec<_> = found
        .iter()
        .map(|way| (way.transport, way.samples, way.stages.travel, way.duration_ns))
        .collect();
    // Of the many apart, the newest traces are opened.
    assert_eq!(
        ways,
        [(Transport::Direct, 3, 0, 10), (Transport::Quic, 40, 500, 510)]
    );
}

#[tokio::test]
async fn no_sample_is_no_answer_and_no_name_is_a_fault() {
    let house = House::new().await;
    house.store(vec![call(1, "apart", Transport::Quic, 5)]).await;
    for (caller, function) in [
        ("checkout", "shop:cart/cart.get"),
        ("frontend", "shop:cart/cart.add"),
    ] {
        assert_eq!(house.traces.steps(&query(caller, function)).await.unwrap(), []);
    }
    for function in ["get", "cart.get", ""] {
        let error = house
            .traces
            .steps(&query("frontend", function))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("`function`"), "{error}");
    }
}
