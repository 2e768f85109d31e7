//! New papers while calls and messages travel.

use rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

use super::*;

/// The certificates that a node's peers show on the connections that take calls.
fn shown(to: &Node) -> Vec<CertificateDer<'static>> {
    let links = to.quic.links();
    let open = links.iter().filter(|link| link.is_open() && !link.is_retired());
    open.filter_map(|link| {
        let identity = link.connection.peer_identity()?;
        let certificates = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        certificates.first().cloned()
    })
    .collect()
}

/// Gives `node` new papers, and waits until `peer` sees nothing else on any connection that takes calls.
async fn renew(world: &World, node: &Node, peer: &Node) {
    let identity = world.identity(node.name.as_str());
    let certificate = identity.certificate().unwrap();
    node.quic.renew(&identity).unwrap();
    until(|| {
        let shown = shown(peer);
        !shown.is_empty() && shown.iter().all(|shown| *shown == certificate)
    })
    .await;
}

/// Calls without a pause until it is stopped; how many were answered.
async fn call_on(client: Arc<PeerClient>, example: Call, stop: CancellationToken) -> u64 {
    let mut answered = 0u64;
    while !stop.is_cancelled() {
        let args = Bytes::from(answered.to_be_bytes().to_vec());
        let call = Call {
            args: args.clone(),
            ..example.clone()
        };
        assert_eq!(soon(client.dispatch(call)).await.unwrap().value, args);
        answered += 1;
    }
    answered
}

#[tokio::test]
async fn new_papers_are_shown_and_no_call_fails_for_it() {
    let world = World::new();
    let (web, cart) = world.pair();
    web.allow(&cart, &["cart"]);
    let (there, back) = (web.client(&cart), cart.client(&web));
    let long = there.dispatch(call("wait", "old"));
    tokio::pin!(long);
    tokio::select! {
        _ = &mut long => panic!("nobody lets it end"),
        began = soon(cart.callee.began.acquire()) => began.unwrap().forget(),
    }
    let call_back = Call {
        caller: name("cart"),
        handler: Some(name("web")),
        ..call("echo", "")
    };
    let stop = CancellationToken::new();
    let calls = [
        (there.clone(), call("echo", "")),
        (there.clone(), call("echo", "")),
        (back, call_back),
    ];
    let calls =
        calls.map(|(client, example)| web.tasks.spawn("calls", call_on(client, example, stop.clone())));
    for _ in 0..5 {
        renew(&world, &web, &cart).await;
        renew(&world, &cart, &web).await;
    }
    stop.cancel();
    for calls in calls {
        assert!(soon(calls).await.unwrap().unwrap() > 0);
    }
    // The long call kept its connection, and only it; both go with its end.
    until(|| web.quic.endpoint.open_connections() == 2).await;
    cart.callee.may_end.add_permits(1);
    assert_eq!(soon(long).await.unwrap().value, "old");
    until(|| web.quic.endpoint.open_connections() == 1).await;
    until(|| cart.quic.endpoint.open_connections() == 1).await;
    let known = web.quic.peers().get(&cart.name).unwrap();
    assert_eq!(
        (known.state, known.last_error),
        (crate::peers::PeerState::Connected, None)
    );
    assert_eq!(cart.quic.refusals(), super::super::Refusals::default());
    assert_eq!(web.quic.refusals(), super::super::Refusals::default());
}

#[tokio::test]
async fn messages_keep_their_order_from_one_connection_to_the_next() {
    let world = World::new();
    let (mut home, cart) = (world.node("home"), world.node("cart"));
    let ready = |generation| Control::Ready {
        generation,
        failed: Vec::new(),
    };
    let address = home.quic.local_addr();
    let told = async {
        for n in 0..600 {
            if n % 100 == 50 {
                cart.quic.renew(&world.identity("cart")).unwrap();
            }
            cart.quic.send(&home.name, address, ready(n)).await.unwrap();
        }
    };
    let heard = async {
        for n in 0..600 {
            assert_eq!(home.control.recv().await, Some((cart.name.clone(), ready(n))));
        }
    };
    soon(async { tokio::join!(told, heard) }).await;
    until(|| cart.quic.endpoint.open_connections() == 1).await;
}

#[tokio::test]
async fn messages_keep_their_order_where_both_nodes_dial_at_once() {
    let world = World::new();
    let ready = |generation| Control::Ready {
        generation,
        failed: Vec::new(),
    };
    for _ in 0..60 {
        let (home, mut cart) = (world.node("home"), world.node("cart"));
        let (to_cart, to_home) = (cart.quic.local_addr(), home.quic.local_addr());
        let told = async {
            for n in 0..20 {
                home.quic.send(&cart.name, to_cart, ready(n)).await.unwrap();
            }
        };
        let dialed = async {
            let sent = cart.quic.send(&home.name, to_home, ready(0)).await;
            sent.unwrap();
        };
        let mut inbox = std::mem::replace(&mut cart.control, mpsc::channel(1).1);
        let heard = async {
            for n in 0..20 {
                assert_eq!(inbox.recv().await, Some((home.name.clone(), ready(n))));
            }
        };
        soon(async { tokio::join!(told, dialed, heard) }).await;
    }
}

#[tokio::test]
async fn papers_that_ended_are_refused_until_they_are_renewed() {
    let world = World::new();
    let cart = world.node("cart");
    let long_ago = Clock::system().unix_ms() as u64 - 31 * 24 * 60 * 60 * 1_000;
    let identity = {
        let authority = Authority::open(&world.dir.path().join("identity"), &Clock::test(long_ago)).unwrap();
        authority.issue(&node_name("web")).unwrap()
    };
    let web = Node::start(Config {
        identity,
        ..world.config("web")
    });
    cart.allow(&web, &["web"]);
    let client = web.client(&cart);
    assert_eq!(
        code(soon(client.dispatch(call("echo", ""))).await),
        ErrorCode::Unreachable
    );
    // As a listener it is not believed either.
    web.allow(&cart, &["web"]);
    assert_eq!(
        code(soon(cart.client(&web).dispatch(call("echo", ""))).await),
        ErrorCode::Unreachable
    );
    assert!(cart.callee.seen().is_empty() && web.callee.seen().is_empty());
    web.quic.renew(&world.identity("web")).unwrap();
    soon(client.dispatch(call("echo", ""))).await.unwrap();
}

#[tokio::test]
async fn papers_of_another_node_are_not_taken() {
    let world = World::new();
    let (web, cart) = world.pair();
    assert!(matches!(
        web.quic.renew(&world.identity("payment")),
        Err(super::super::Error::Identity { .. })
    ));
    soon(web.client(&cart).dispatch(call("echo", ""))).await.unwrap();
    assert_eq!(cart.quic.endpoint.open_connections(), 1);
}

#[tokio::test]
async fn a_peer_that_is_gone_takes_its_replacement_with_it() {
    let world = World::new();
    let (web, cart) = world.pair();
    soon(web.client(&cart).dispatch(call("echo", ""))).await.unwrap();
    cart.quic.close().await;
    web.quic.renew(&world.identity("web")).unwrap();
    until(|| web.quic.endpoint.open_connections() == 0).await;
    assert_eq!(soon(web.tasks.drain(WATCHDOG)).await, Ok(()));
}
