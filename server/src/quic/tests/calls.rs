//! Calls: what travels, what is refused, what ends one early.

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn a_call_arrives_as_it_was_made_and_its_answer_comes_back() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    let mut sent = call("echo", "hello");
    sent.trace.sampled = true;
    let reply = soon(client.dispatch(sent.clone())).await.unwrap();
    assert_eq!((reply.value.as_ref(), reply.is_err), (&b"hello"[..], false));
    assert!(reply.sent_ns > 0);
    let seen = cart.callee.seen().remove(0);
    assert_eq!(seen.caller, name("web"));
    assert_eq!(seen.handler, Some(name("cart")));
    assert_eq!(seen.function, sent.function);
    assert_eq!(seen.type_hash, Some(HASH));
    assert_eq!((seen.trace, seen.hop), (sent.trace, sent.hop));
    assert!(
        seen.deadline <= sent.deadline + WATCHDOG,
        "what remains was carried over"
    );

    let reply = soon(client.dispatch(call("err", "no"))).await.unwrap();
    assert_eq!((reply.value.as_ref(), reply.is_err), (&b"no"[..], true));
    let error = soon(client.dispatch(call("trap", ""))).await.unwrap_err();
    let expected = CallError::new(ErrorCode::Trapped, "unreachable executed").with_detail("at f");
    assert_eq!(error, expected);
}

#[tokio::test]
async fn stages_travel_where_the_trace_is_sampled() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    for function in ["staged", "echo"] {
        let began = Instant::now();
        let mut sampled = call(function, "x");
        sampled.trace.sampled = true;
        let stages = soon(client.dispatch(sampled)).await.unwrap().stages.unwrap();
        let parts = stages.decode + stages.wait + stages.run + stages.outgoing + stages.encode;
        assert!(stages.total > 0 && parts == stages.total, "{stages:?}");
        assert!(u128::from(stages.total) <= began.elapsed().as_nanos());
        let plain = soon(client.dispatch(call(function, "x"))).await.unwrap();
        assert_eq!(plain.stages, None);
    }
}

#[tokio::test]
async fn calls_at_the_same_time_get_their_own_answers_over_one_connection() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    // The first calls come before there is a connection: they share one attempt.
    for _ in 0..3 {
        let calls = (0..200u32).map(|n| client.dispatch(call("echo", n.to_be_bytes().to_vec())));
        for (n, reply) in soon(join_all(calls)).await.into_iter().enumerate() {
            assert_eq!(reply.unwrap().value.as_ref(), (n as u32).to_be_bytes());
        }
    }
    assert_eq!(cart.quic.endpoint.open_connections(), 1);
    assert_eq!(web.quic.endpoint.open_connections(), 1);
}

#[tokio::test]
async fn a_connection_carries_calls_both_ways() {
    let world = World::new();
    let (web, cart) = world.pair();
    web.allow(&cart, &["cart"]);
    soon(web.client(&cart).dispatch(call("echo", ""))).await.unwrap();
    let back = Call {
        caller: name("cart"),
        handler: Some(name("web")),
        ..call("echo", "back")
    };
    let reply = soon(cart.client(&web).dispatch(back)).await.unwrap();
    assert_eq!(reply.value, "back");
    assert_eq!(cart.quic.endpoint.open_connections(), 1);
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_at_once_both_get_through() {
    let world = World::new();
    let (web, cart) = world.pair();
    web.allow(&cart, &["cart"]);
    let there = web.client(&cart);
    let back = cart.client(&web);
    let call_back = Call {
        caller: name("cart"),
        handler: Some(name("web")),
        ..call("echo", "back")
    };
    let (there, back) =
        soon(async { tokio::join!(there.dispatch(call("echo", "there")), back.dispatch(call_back)) }).await;
    assert_eq!(there.unwrap().value, "there");
    assert_eq!(back.unwrap().value, "back");
}

#[tokio::test]
async fn large_bodies_travel_whole_and_larger_ones_are_refused() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    for len in [4 << 10, (4 << 10) + 1, 1 << 20, 15 << 20] {
        let body: Bytes = (0..len).map(|n| (n % 251) as u8).collect();
        let reply = soon(client.dispatch(call("echo", body.clone()))).await.unwrap();
        assert!(reply.value == body, "{len} bytes");
    }
    let ran = cart.callee.seen().len();
    let too_large = vec![0; 17 << 20];
    let too_large = call("echo", too_large);
    let error = soon(client.dispatch(too_large.clone())).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Invalid);
    assert_eq!(Err(error), too_large.check_args(), "the same as without a wire");
    assert_eq!(cart.callee.seen().len(), ran);
    let error = soon(client.dispatch(call("huge", ""))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Trapped);
    assert!(
        error.message.contains("huge") && error.message.contains("16777216"),
        "{error}"
    );
    assert_eq!(cart.quic.refusals(), super::super::Refusals::default());
}

#[tokio::test]
async fn more_large_arguments_than_the_budget_holds_are_turned_away() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    let bodies = Arc::clone(&cart.quic.bodies);
    let all = bodies
        .acquire_many(bodies.available_permits() as u32)
        .await
        .unwrap();
    let large = vec![0; 1 << 20];
    assert_eq!(
        code(soon(client.dispatch(call("echo", large.clone()))).await),
        ErrorCode::Overloaded
    );
    soon(client.dispatch(call("echo", "small"))).await.unwrap();
    drop(all);
    soon(client.dispatch(call("echo", large))).await.unwrap();
}

#[tokio::test]
async fn what_is_not_served_is_not_found_and_nothing_runs() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    let other_type = Call {
        type_hash: Some(TypeHash([9; 16])),
        ..call("echo", "")
    };
    let other_handler = Call {
        handler: Some(name("email")),
        ..call("echo", "")
    };
    for refused in [call("nothing", ""), other_type, other_handler] {
        assert_eq!(code(soon(client.dispatch(refused)).await), ErrorCode::NotFound);
    }
    let unresolved = Call {
        handler: None,
        ..call("echo", "")
    };
    assert_eq!(code(soon(client.dispatch(unresolved)).await), ErrorCode::Internal);
    // Withdrawn: the caller has the id, the callee refuses it; and serves it again under the same id.
    let by_hand = Call {
        type_hash: None,
        ..call("err", "")
    };
    soon(client.dispatch(by_hand)).await.unwrap();
    cart.quic.set_exports(Vec::new()).unwrap();
    assert_eq!(
        code(soon(client.dispatch(call("echo", ""))).await),
        ErrorCode::NotFound
    );
    assert_eq!(cart.callee.seen().len(), 1);
    cart.quic.set_exports(vec![exported("cart", "echo")]).unwrap();
    soon(client.dispatch(call("echo", ""))).await.unwrap();
}

#[tokio::test]
async fn tables_grow_while_calls_run() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    let mut exports: Vec<Exported> = FUNCTIONS.map(|function| exported("cart", function)).to_vec();
    for n in 0..50 {
        let function = format!("echo-{n}");
        exports.push(exported("cart", &function));
        // From here on a call must find it, although nobody told the caller yet.
        cart.quic.set_exports(exports.clone()).unwrap();
        let callers = ["web", &format!("web-{n}")];
        cart.permit(&callers, &exports);
        cart.allow(&web, &callers);
        let fresh = Call {
            caller: name(&format!("web-{n}")),
            ..call(&function, "fresh")
        };
        let (fresh, old) =
            soon(async { tokio::join!(client.dispatch(fresh), client.dispatch(call("echo", "old"))) }).await;
        assert_eq!(fresh.unwrap().value, "fresh");
        assert_eq!(old.unwrap().value, "old");
    }
    assert_eq!(cart.quic.endpoint.open_connections(), 1);
}

#[tokio::test]
async fn a_peer_calls_only_in_the_names_that_it_may_use() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    let foreign = Call {
        caller: name("payment"),
        ..call("echo", "")
    };
    assert_eq!(
        code(soon(client.dispatch(foreign.clone())).await),
        ErrorCode::Rejected
    );
    assert!(cart.callee.seen().is_empty());
    assert_eq!(cart.quic.refusals().unauthorised, 1);
    cart.permit(&["web", "payment"], &[exported("cart", "echo")]);
    cart.allow(&web, &["web", "payment"]);
    soon(client.dispatch(foreign.clone())).await.unwrap();
    cart.allow(&web, &["web"]);
    assert_eq!(
        code(soon(client.dispatch(foreign.clone())).await),
        ErrorCode::Rejected
    );

    // Home relays for everybody, and nobody had to say so.
    let home = world.node("home");
    soon(home.client(&cart).dispatch(foreign)).await.unwrap();
}

#[tokio::test]
async fn dropping_a_call_cancels_it_at_the_callee() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    {
        let waiting = client.dispatch(call("wait", ""));
        tokio::select! {
            _ = waiting => panic!("nobody lets it end"),
            began = soon(cart.callee.began.acquire()) => began.unwrap().forget(),
        }
    }
    soon(cart.callee.given_up.acquire()).await.unwrap().forget();
    until(|| cart.quic.calls_under_way() == 0).await;
    // The connection is as good as before.
    soon(client.dispatch(call("echo", ""))).await.unwrap();
    assert_eq!(cart.quic.endpoint.open_connections(), 1);
    assert_eq!(cart.quic.refusals(), super::super::Refusals::default());
}

#[tokio::test]
async fn dropping_a_call_whose_arguments_are_under_way_harms_nobody() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    soon(client.dispatch(call("echo", ""))).await.unwrap();
    let large = Bytes::from(vec![0; 15 << 20]);
    for polls in 1..20 {
        let mut sending = client.dispatch(call("echo", large.clone()));
        for _ in 0..polls {
            let _ = futures_util::poll!(sending.as_mut());
            tokio::task::yield_now().await;
        }
    }
    until(|| cart.quic.calls_under_way() == 0).await;
    soon(client.dispatch(call("echo", ""))).await.unwrap();
    assert_eq!(cart.quic.refusals(), super::super::Refusals::default());
}

#[tokio::test]
async fn a_deadline_ends_the_call_on_both_sides() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    soon(client.dispatch(call("echo", ""))).await.unwrap();
    let short = Call {
        deadline: Instant::now() + Duration::from_millis(50),
        ..call("wait", "")
    };
    assert_eq!(code(soon(client.dispatch(short)).await), ErrorCode::Deadline);
    // The call was given up there, or had not arrived when its time was over.
    until(|| cart.quic.calls_under_way() == 0).await;
    assert_eq!(
        cart.callee.began.available_permits(),
        cart.callee.given_up.available_permits()
    );
    let passed = Call {
        deadline: Instant::now(),
        ..call("echo", "")
    };
    let ran = cart.callee.seen().len();
    assert_eq!(code(soon(client.dispatch(passed)).await), ErrorCode::Deadline);
    assert_eq!(cart.callee.seen().len(), ran);
}

#[tokio::test]
async fn a_panic_in_the_callee_ends_that_call_alone() {
    let world = World::new();
    let (web, cart) = world.pair();
    cart.quic
        .set_exports(vec![exported("cart", "panic"), exported("cart", "echo")])
        .unwrap();
    cart.permit(&["web"], &[exported("cart", "panic"), exported("cart", "echo")]);
    let client = web.client(&cart);
    assert_eq!(
        code(soon(client.dispatch(call("panic", ""))).await),
        ErrorCode::Internal
    );
    soon(client.dispatch(call("echo", ""))).await.unwrap();
    assert_eq!(cart.quic.endpoint.open_connections(), 1);
}
