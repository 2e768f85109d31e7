//! The life of a connection: messages, death, drain, and what it cost.

use super::*;
use crate::peers::PeerState;

/// A node on a runtime of its own, which can be killed: its process is gone without a word.
struct Mortal {
    node: Node,
    runtime: tokio::runtime::Runtime,
}

impl Mortal {
    fn start(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let node = {
            let _inside = runtime.enter();
            Node::start(config)
        };
        Self { node, runtime }
    }

    fn kill(self) -> Node {
        self.runtime.shutdown_background();
        self.node
    }
}

#[tokio::test]
async fn messages_keep_their_order_both_ways_over_one_connection() {
    let world = World::new();
    let (mut home, mut cart) = (world.node("home"), world.node("cart"));
    let ready = |generation| Control::Ready {
        generation,
        failed: Vec::new(),
    };
    let down = |incarnation| Control::PeerDown {
        node: node_name("web"),
        incarnation,
    };
    for n in 0..100 {
        soon(cart.quic.send(&home.name, home.quic.local_addr(), ready(n)))
            .await
            .unwrap();
        assert_eq!(
            soon(home.control.recv()).await,
            Some((cart.name.clone(), ready(n)))
        );
        soon(home.quic.send(&cart.name, cart.quic.local_addr(), down(n)))
            .await
            .unwrap();
    }
    for n in 0..100 {
        assert_eq!(
            soon(cart.control.recv()).await,
            Some((home.name.clone(), down(n)))
        );
    }
    assert_eq!(home.quic.endpoint.open_connections(), 1);
}

#[tokio::test]
async fn a_reported_death_ends_calls_at_once_and_the_next_incarnation_is_served() {
    let world = World::new();
    let web = world.node("web");
    let mortal = Mortal::start(world.config("cart"));
    mortal.node.allow(&web, &["web"]);
    let client = web.client(&mortal.node);
    let waiting = client.dispatch(call("wait", ""));
    tokio::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => panic!("nobody lets it end"),
        began = soon(mortal.node.callee.began.acquire()) => began.unwrap().forget(),
    }
    let dead = mortal.kill();
    // The connection's own silence is borne for longer than the watchdog: only the report can end the call.
    web.quic.peer_down(&dead.name, 1);
    let error = soon(waiting).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unreachable);
    assert!(error.message.contains("process is gone"), "{error}");
    assert!(!error.nothing_ran(), "it was under way");
    let error = soon(client.dispatch(call("echo", ""))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unreachable);
    assert!(error.nothing_ran(), "it never left");
    assert_eq!(web.quic.peers().get(&dead.name).unwrap().state, PeerState::Down);

    let again = Node::start(Config {
        incarnation: 2,
        ..world.config("cart")
    });
    again.allow(&web, &["web"]);
    let client = web.quic.client(&again.name, again.quic.local_addr(), 2);
    soon(client.dispatch(call("echo", ""))).await.unwrap();
    // A late report of the first death does not touch the second life.
    web.quic.peer_down(&again.name, 1);
    soon(client.dispatch(call("echo", ""))).await.unwrap();
    assert_eq!(
        web.quic.peers().get(&again.name).unwrap().state,
        PeerState::Connected
    );
}

#[tokio::test]
async fn a_silent_death_is_noticed_by_the_idle_timeout() {
    let world = World::new();
    let impatient = |node| Config::new(loopback(), world.identity(node), 1);
    let web = Node::start(impatient("web"));
    let mortal = Mortal::start(impatient("cart"));
    mortal.node.allow(&web, &["web"]);
    let client = web.client(&mortal.node);
    let waiting = client.dispatch(call("wait", ""));
    tokio::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => panic!("nobody lets it end"),
        began = soon(mortal.node.callee.began.acquire()) => began.unwrap().forget(),
    }
    let dead = mortal.kill();
    assert_eq!(code(soon(waiting).await), ErrorCode::Unreachable);
    until(|| web.quic.peers().get(&dead.name).unwrap().state == PeerState::Down).await;
}

#[tokio::test]
async fn a_drain_refuses_new_calls_and_finishes_the_old_ones() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    let waiting = client.dispatch(call("wait", "old"));
    tokio::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => panic!("nobody lets it end"),
        began = soon(cart.callee.began.acquire()) => began.unwrap().forget(),
    }
    let quic = Arc::clone(&cart.quic);
    let drain = cart
        .tasks
        .spawn("drain", async move { quic.drain(WATCHDOG).await });
    let mut peers = web.quic.peers().watch();
    soon(peers.wait_for(|peers| peers[&cart.name].state == PeerState::Draining))
        .await
        .unwrap();
    assert_eq!(
        code(soon(client.dispatch(call("echo", "new"))).await),
        ErrorCode::NotFound
    );
    assert!(!drain.is_finished());
    assert_eq!(cart.callee.seen().len(), 1);
    cart.callee.may_end.add_permits(1);
    assert_eq!(soon(waiting).await.unwrap().value, "old");
    soon(drain).await.unwrap().unwrap().unwrap();
    until(|| web.quic.endpoint.open_connections() == 0).await;
    assert_eq!(
        web.quic.peers().get(&cart.name).unwrap().last_error,
        None,
        "it left in order"
    );
}

#[tokio::test]
async fn a_drain_cuts_no_answer_off() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    soon(client.dispatch(call("echo", ""))).await.unwrap();
    let body = Bytes::from(vec![5; 4 << 20]);
    let calls = (0..8).map(|_| client.dispatch(call("wait", body.clone())));
    let calls = futures_util::future::join_all(calls);
    let drained = async {
        cart.callee.began.acquire_many(8).await.unwrap().forget();
        // All answers begin to travel at the moment of the drain.
        cart.callee.may_end.add_permits(8);
        cart.quic.drain(WATCHDOG).await
    };
    let (replies, drained) = soon(async { tokio::join!(calls, drained) }).await;
    drained.unwrap();
    for reply in replies {
        assert_eq!(reply.unwrap().value, body);
    }
}

#[tokio::test]
async fn a_drain_that_takes_too_long_says_what_it_left() {
    let world = World::new();
    let (web, cart) = world.pair();
    let client = web.client(&cart);
    let waiting = client.dispatch(call("wait", ""));
    tokio::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => panic!("nobody lets it end"),
        began = soon(cart.callee.began.acquire()) => began.unwrap().forget(),
    }
    let drained = async { cart.quic.drain(Duration::from_millis(1)).await };
    let (waited, drained) = soon(async { tokio::join!(&mut waiting, drained) }).await;
    assert_eq!(code(waited), ErrorCode::Unreachable);
    assert!(matches!(
        drained,
        Err(super::super::Error::Undrained { calls: 1, .. })
    ));
}

#[tokio::test]
async fn the_last_messages_are_read_before_a_connection_closes() {
    let world = World::new();
    let (mut home, cart) = (world.node("home"), world.node("cart"));
    soon(cart.quic.finish_calls(WATCHDOG)).await.unwrap();
    for generation in 0..50 {
        let ready = Control::Ready {
            generation,
            failed: Vec::new(),
        };
        soon(cart.quic.send(&home.name, home.quic.local_addr(), ready))
            .await
            .unwrap();
    }
    soon(cart.quic.close()).await;
    for expected in 0..50 {
        match soon(home.control.recv()).await {
            Some((_, Control::Ready { generation, .. })) => assert_eq!(generation, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn bytes_are_counted_on_both_sides_and_kept_when_the_connection_ends() {
    let world = World::new();
    let (web, cart) = world.pair();
    assert_eq!(web.quic.bytes(), (0, 0));
    let client = web.client(&cart);
    let body = 1 << 20;
    soon(client.dispatch(call("echo", vec![0; body]))).await.unwrap();
    let (sent, received) = web.quic.bytes();
    assert!(sent > body as u64 && received > body as u64, "{sent} {received}");
    soon(cart.quic.drain(WATCHDOG)).await.unwrap();
    until(|| web.quic.endpoint.open_connections() == 0).await;
    for node in [&web, &cart] {
        let (sent, received) = node.quic.bytes();
        assert!(sent > body as u64 && received > body as u64, "{sent} {received}");
        assert!(
            sent < 2 * body as u64 && received < 2 * body as u64,
            "{sent} {received}"
        );
    }
}
