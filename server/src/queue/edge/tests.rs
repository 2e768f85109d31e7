//! Calls that become messages.

use std::time::Instant;

use protocol::api::queues::MessageState;
use protocol::{FunctionPath, NodeName, SpanId, SpanStatus, TraceContext, TraceId};

use super::*;
use crate::clock::Clock;
use crate::queue::tests::{Bench, WATCHDOG, queue};

fn handler(name: &str) -> HandlerName {
    HandlerName::parse(name).unwrap()
}

fn interface(name: &str) -> InterfaceName {
    InterfaceName::parse(name).unwrap()
}

fn settings() -> EdgeSettings {
    EdgeSettings {
        caller: handler("checkout"),
        interface: interface("shop:email/email"),
        queue: queue(),
        callee: handler("email"),
        tries: 5,
        backoff: Duration::from_secs(1),
        timeout: Duration::from_secs(2),
        answers: [("send".into(), Answer::Ok), ("note".into(), Answer::Nothing)].into(),
    }
}

fn call(caller: &str, function: &str) -> Call {
    Call {
        caller: handler(caller),
        handler: None,
        function: FunctionPath::new(interface("shop:email/email@0.1.0"), function).into(),
        type_hash: Some(protocol::TypeHash([3; 16])),
        args: Bytes::from_static(b"dear"),
        deadline: Instant::now() + WATCHDOG,
        trace: TraceContext {
            trace_id: TraceId(5),
            span_id: SpanId(6),
            sampled: true,
        },
        hop: 1,
        lift_ns: 0,
    }
}

#[tokio::test]
async fn the_caller_gets_ok_once_its_message_is_stored() {
    let bench = Bench::new().await;
    let (recorder, mut spans) = Recorder::channel(NodeName::home(), Clock::test(0));
    let edge = QueueEdge::new(bench.queues.clone(), recorder);
    edge.set_edges(vec![settings()]);
    let reply = edge.dispatch(call("checkout", "send")).await.unwrap();
    assert_eq!((&reply.value[..], reply.is_err), (&[0_u8][..], false));
    let stored = bench.only(MessageState::Ready).await;
    assert_eq!(
        (stored.message.tries, stored.body.as_deref()),
        (5, Some(&b"dear"[..]))
    );
    assert_eq!(stored.handler, Some(handler("email")));

    let span = spans.recv().await.unwrap();
    assert_eq!(
        (span.kind, &*span.name),
        (SpanKind::Producer, "send checkout.email")
    );
    assert_eq!(
        (span.parent_id, span.transport),
        (Some(SpanId(6)), Some(Transport::Queue))
    );
    assert_eq!(span.status, SpanStatus::Ok);
    let link = stored.message.trace.unwrap();
    assert_eq!((link.trace_id, link.span_id), (TraceId(5), span.span_id));
    let lease = bench.queues.lease(&queue(), 1, WATCHDOG).await.unwrap().remove(0);
    assert_eq!(
        (lease.type_hash, lease.timeout),
        (Some(protocol::TypeHash([3; 16])), Duration::from_secs(2))
    );

    let reply = edge.dispatch(call("checkout", "note")).await.unwrap();
    assert!(reply.value.is_empty());
}

#[tokio::test]
async fn what_is_not_queued_is_not_found_and_edges_change_while_it_runs() {
    let bench = Bench::new().await;
    let (recorder, _spans) = Recorder::channel(NodeName::home(), Clock::test(0));
    let edge = QueueEdge::new(bench.queues.clone(), recorder);
    let code = |outcome: Result<crate::dispatch::Reply, CallError>| outcome.unwrap_err().code;
    assert_eq!(
        code(edge.dispatch(call("checkout", "send")).await),
        ErrorCode::NotFound
    );
    edge.set_edges(vec![settings()]);
    assert!(edge.dispatch(call("checkout", "send")).await.is_ok());
    assert_eq!(
        code(edge.dispatch(call("cart", "send")).await),
        ErrorCode::NotFound
    );
    assert_eq!(
        code(edge.dispatch(call("checkout", "burn")).await),
        ErrorCode::NotFound
    );
    edge.set_edges(Vec::new());
    assert_eq!(
        code(edge.dispatch(call("checkout", "send")).await),
        ErrorCode::NotFound
    );
}

#[tokio::test]
async fn a_message_that_cannot_be_stored_fails_the_call() {
    let bench = Bench::new().await;
    let (recorder, mut spans) = Recorder::channel(NodeName::home(), Clock::test(0));
    let edge = QueueEdge::new(bench.queues.clone(), recorder);
    edge.set_edges(vec![settings()]);
    let large = Call {
        args: Bytes::from(vec![0; crate::queue::BODY_BYTES_MAX + 1]),
        ..call("checkout", "send")
    };
    assert_eq!(edge.dispatch(large).await.unwrap_err().code, ErrorCode::Invalid);
    bench.tasks.drain(WATCHDOG).await.unwrap();
    let error = edge.dispatch(call("checkout", "send")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal);
    assert!(matches!(
        spans.recv().await.unwrap().status,
        SpanStatus::Failed {
            code: ErrorCode::Invalid,
            ..
        }
    ));
}

#[tokio::test]
async fn guests_enqueue_plain_messages_but_not_into_an_edge_s_queue() {
    use protocol::Grants;
    use protocol::builtin::queue::{Fault, INTERFACE, Options, Request, decode_reply};
    let bench = Bench::new().await;
    let (recorder, _spans) = Recorder::channel(NodeName::home(), Clock::test(0));
    let edge = QueueEdge::new(bench.queues.clone(), Arc::clone(&recorder));
    edge.set_edges(vec![settings()]);
    edge.dispatch(call("checkout", "send")).await.unwrap();
    let queue = |name: &str| QueueName::parse(name).unwrap();
    let grants = Grants {
        queues: vec![queue("news"), queue("checkout.email")],
        ..Grants::default()
    };
    let granted = [(HandlerName::parse("ad").unwrap(), grants)].into();
    let guests = crate::queue::QueueDispatch::new(bench.queues.clone(), recorder, granted);
    let guest_call = |function: &str, destination: &str| Call {
        function: FunctionPath::new(interface(INTERFACE), function).into(),
        args: Request {
            destination: destination.into(),
            body: Bytes::from_static(b"hello"),
            options: Options {
                dedupe_key: Some("once".into()),
                ..Options::default()
            },
        }
        .encode(),
        ..call("ad", "")
    };
    let first = guests.dispatch(guest_call("enqueue", "news")).await.unwrap();
    let second = guests.dispatch(guest_call("enqueue", "news")).await.unwrap();
    let id = decode_reply(&first.value).unwrap().unwrap();
    assert_eq!(decode_reply(&second.value), Ok(Ok(id.clone())));
    let lease = bench
        .queues
        .lease(&QueueName::parse("news").unwrap(), 9, WATCHDOG)
        .await
        .unwrap();
    assert_eq!(lease.len(), 1);
    assert_eq!((lease[0].id.to_string(), &lease[0].body[..]), (id, &b"hello"[..]));
    for (function, destination) in [
        ("enqueue", "checkout.email"),
        ("enqueue", "No Name"),
        ("enqueue", "letters"),
        ("publish", "news"),
    ] {
        let reply = guests.dispatch(guest_call(function, destination)).await.unwrap();
        assert!(reply.is_err);
        let fault = decode_reply(&reply.value).unwrap().unwrap_err();
        assert!(
            matches!(fault, Fault::Invalid(_) | Fault::NoSuchQueue(_)),
            "{fault}"
        );
    }
    // What one handler was granted is nobody else's.
    let stranger = Call {
        caller: HandlerName::parse("cart").unwrap(),
        ..guest_call("enqueue", "news")
    };
    let reply = guests.dispatch(stranger).await.unwrap();
    assert_eq!(
        decode_reply(&reply.value),
        Ok(Err(Fault::NoSuchQueue("news".into())))
    );
}
