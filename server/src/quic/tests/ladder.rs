//! Every rung that leaves the process, plain and shaped: the same calls come to the same, and what ends them ends them.

use futures_util::future::join_all;
use protocol::frame::{LANE_TOKEN_BYTES, VERSION, encode_lane_hello};
use protocol::{Rung, Shaping, Way};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

use super::super::Refusals;
use super::super::link::Link;
use super::super::path::Path;
use super::super::tls::{SERVER_NAME, Tls};
use super::super::twin::Twin;
use super::*;

/// Every way between nodes, shaped ones among them.
const WAYS: [&str; 6] = [
    "quic",
    "uds",
    "tcp",
    "uds+1ms",
    "tcp+1ms+~500us+1%",
    "quic+1ms+~500us+1%+200Mbit/s",
];

fn by(way: &str) -> (Rung, Shaping) {
    let way = way.split('+').try_fold(Way::default(), Way::with).unwrap();
    let course = way.course();
    (course.between, course.shaping)
}

fn with_socket(world: &World, node: &str) -> Node {
    Node::start(Config {
        sockets: Some(world.dir.path().join("sockets")),
        ..world.config(node)
    })
}

/// A caller and a callee that lets it call in its own name.
fn pair(world: &World) -> (Node, Node) {
    let (web, cart) = (with_socket(world, "web"), with_socket(world, "cart"));
    cart.allow(&web, &["web"]);
    (web, cart)
}

fn dial(from: &Node, to: &Node, way: &str) -> Arc<PeerClient> {
    from.quic.client_by(by(way), &to.name, to.quic.local_addr(), 1)
}

/// The one link between two nodes, as the caller holds it.
fn link(node: &Node) -> Arc<Link> {
    node.quic.links().remove(0)
}

fn lane_paths(link: &Link) -> Vec<Path> {
    link.lanes.open_paths()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_come_to_the_same_by_every_way() {
    for way in WAYS {
        let world = World::new();
        let (web, cart) = pair(&world);
        let client = dial(&web, &cart, way);
        let mut sampled = call("echo", "hello");
        sampled.trace.sampled = true;
        let reply = soon(client.dispatch(sampled)).await.unwrap();
        assert_eq!(
            (reply.value.as_ref(), reply.is_err),
            (&b"hello"[..], false),
            "{way}"
        );
        assert!(reply.stages.unwrap().total > 0 && reply.sent_ns > 0);
        let reply = soon(client.dispatch(call("err", "no"))).await.unwrap();
        assert!(reply.is_err);
        let error = soon(client.dispatch(call("trap", ""))).await.unwrap_err();
        let expected = CallError::new(ErrorCode::Trapped, "unreachable executed").with_detail("at f");
        assert_eq!(error, expected);
        let calls = (0..100u32).map(|n| {
            let client = Arc::clone(&client);
            let call = call("echo", n.to_be_bytes().to_vec());
            web.tasks.spawn(
                "a call",
                async move { client.dispatch(call).await.unwrap().value },
            )
        });
        let calls: Vec<_> = calls.collect();
        for (n, value) in soon(join_all(calls)).await.into_iter().enumerate() {
            let value = value.unwrap().unwrap();
            assert_eq!(value.as_ref(), (n as u32).to_be_bytes(), "{way}");
        }
        for len in [(4 << 10) + 1, 1 << 20, 5 << 20] {
            let body: Bytes = (0..len).map(|n| (n % 251) as u8).collect();
            let reply = soon(client.dispatch(call("echo", body.clone()))).await.unwrap();
            assert!(reply.value == body, "{len} bytes over {way}");
        }
        let huge = soon(client.dispatch(call("huge", ""))).await;
        assert_eq!(code(huge), ErrorCode::Trapped);
        assert_eq!(
            code(soon(client.dispatch(call("nothing", ""))).await),
            ErrorCode::NotFound
        );
        let (sent, received) = web.quic.bytes();
        assert!(sent > 6 << 20 && received > 6 << 20, "{way}: {sent} {received}");
        assert_eq!(cart.quic.refusals(), Refusals::default(), "{way}");
        assert_eq!(web.quic.endpoint.open_connections(), 1, "lanes are beside it");
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_or_out_of_time_ends_at_the_callee() {
    for way in WAYS {
        let world = World::new();
        let (web, cart) = pair(&world);
        let client = dial(&web, &cart, way);
        let given_up = client.dispatch(call("wait", ""));
        tokio::select! {
            _ = given_up => panic!("nobody lets it end"),
            began = soon(cart.callee.began.acquire()) => began.unwrap().forget(),
        }
        soon(cart.callee.given_up.acquire()).await.unwrap().forget();
        let late = Call {
            deadline: Instant::now() + Duration::from_millis(200),
            ..call("wait", "")
        };
        assert_eq!(
            code(soon(client.dispatch(late)).await),
            ErrorCode::Deadline,
            "{way}"
        );
        soon(cart.callee.given_up.acquire()).await.unwrap().forget();
        soon(client.dispatch(call("echo", ""))).await.unwrap();
        until(|| cart.quic.calls_under_way() == 0).await;
    }
}

#[tokio::test]
async fn a_drain_lets_calls_end_and_a_death_does_not() {
    for way in WAYS {
        let world = World::new();
        let (web, cart) = pair(&world);
        let client = dial(&web, &cart, way);
        let long = client.dispatch(call("wait", "kept"));
        tokio::pin!(long);
        tokio::select! {
            _ = &mut long => panic!("nobody lets it end"),
            began = soon(cart.callee.began.acquire()) => began.unwrap().forget(),
        }
        let drained = cart.quic.drain(WATCHDOG);
        let ended = async {
            // New ones are refused before the old one ends.
            until(|| link(&web).peer_drains()).await;
            assert_eq!(code(client.dispatch(call("echo", "")).await), ErrorCode::NotFound);
            cart.callee.may_end.add_permits(1);
            long.await
        };
        let (drained, ended) = soon(async { tokio::join!(drained, ended) }).await;
        drained.unwrap();
        assert_eq!(ended.unwrap().value, "kept", "{way}");

        let world = World::new();
        let (web, cart) = pair(&world);
        let client = dial(&web, &cart, way);
        let waiting = client.dispatch(call("wait", ""));
        let killed = async {
            cart.callee.began.acquire().await.unwrap().forget();
            web.quic.peer_down(&cart.name, 1);
        };
        let (waited, ()) = soon(async { tokio::join!(waiting, killed) }).await;
        let error = waited.unwrap_err();
        assert_eq!(
            (error.code, error.unsent),
            (ErrorCode::Unreachable, false),
            "{way}"
        );
        soon(cart.callee.given_up.acquire()).await.unwrap().forget();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_papers_bring_new_lanes_and_no_call_fails_for_it() {
    let world = World::new();
    let (web, cart) = pair(&world);
    let stop = CancellationToken::new();
    let calls = WAYS.map(|way| {
        let client = dial(&web, &cart, way);
        let stop = stop.clone();
        web.tasks.spawn("calls", async move {
            let mut answered = 0u64;
            while !stop.is_cancelled() {
                let args = Bytes::from(answered.to_be_bytes().to_vec());
                let reply = soon(client.dispatch(call("echo", args.clone()))).await;
                assert_eq!(reply.unwrap().value, args, "{way}");
                answered += 1;
            }
            answered
        })
    });
    until(|| cart.callee.seen().len() > 100 && !web.quic.links().is_empty()).await;
    for _ in 0..3 {
        for (node, peer) in [(&web, &cart), (&cart, &web)] {
            let old: Vec<_> = peer.quic.links();
            node.quic.renew(&world.identity(node.name.as_str())).unwrap();
            until(|| old.iter().all(|link| !link.is_open())).await;
        }
    }
    stop.cancel();
    for calls in calls {
        assert!(soon(calls).await.unwrap().unwrap() > 0);
    }
    assert_eq!(cart.quic.refusals(), Refusals::default());
}

#[tokio::test]
async fn a_lost_lane_takes_its_calls_with_it_and_the_next_call_has_another() {
    for way in ["uds", "tcp", "quic+1ms"] {
        let world = World::new();
        let (web, cart) = pair(&world);
        let client = dial(&web, &cart, way);
        let lost = client.dispatch(call("wait", ""));
        let cut = async {
            cart.callee.began.acquire().await.unwrap().forget();
            let paths = lane_paths(&link(&web));
            assert_eq!(paths.len(), 1);
            paths[0].close(super::super::link::Close::Gone, "cut by the test");
        };
        let (lost, ()) = soon(async { tokio::join!(lost, cut) }).await;
        let error = lost.unwrap_err();
        assert_eq!(
            (error.code, error.unsent),
            (ErrorCode::Unreachable, false),
            "{error}"
        );
        assert!(error.message.contains("lane to node `cart` is lost"), "{error}");
        soon(cart.callee.given_up.acquire()).await.unwrap().forget();
        soon(client.dispatch(call("echo", ""))).await.unwrap();
        assert!(link(&web).is_open(), "the link stays");
    }
}

#[tokio::test]
async fn edges_share_a_lane_unless_they_are_shaped() {
    let world = World::new();
    let (web, cart) = pair(&world);
    cart.allow(&web, &["web", "shop"]);
    cart.permit(&["web", "shop"], &[exported("cart", "echo")]);
    let from_shop = Call {
        caller: name("shop"),
        ..call("echo", "")
    };
    for (way, lanes) in [("uds", 1), ("uds+0ms", 1), ("uds+1ms", 3), ("tcp", 4)] {
        let client = dial(&web, &cart, way);
        soon(client.dispatch(call("echo", ""))).await.unwrap();
        soon(client.dispatch(from_shop.clone())).await.unwrap();
        assert_eq!(lane_paths(&link(&web)).len(), lanes, "{way}");
    }
}

#[tokio::test]
async fn a_delay_is_travel_and_nothing_else() {
    for way in ["uds+20ms", "tcp+20ms", "quic+20ms"] {
        let world = World::new();
        let (web, cart) = pair(&world);
        let client = dial(&web, &cart, way);
        soon(client.dispatch(call("echo", ""))).await.unwrap();
        let mut least = None;
        for _ in 0..5 {
            let mut sampled = call("staged", vec![7; 2_000]);
            sampled.trace.sampled = true;
            let began = Instant::now();
            let reply = soon(client.dispatch(sampled)).await.unwrap();
            let whole = began.elapsed().as_nanos() as u64;
            let elsewhere = reply.sent_ns + reply.stages.unwrap().total;
            let travel = whole - elsewhere;
            assert!(travel >= 40_000_000, "{way}: {travel}");
            least = least.into_iter().chain([elsewhere]).min();
        }
        // What is not travel knows nothing of the delay, were it only the half of one.
        assert!(least.unwrap() < 10_000_000, "{way}: {least:?}");
    }
}

#[tokio::test]
async fn who_has_no_token_of_a_connection_is_a_stranger() {
    let world = World::new();
    let (web, cart) = pair(&world);
    soon(
        web.quic
            .client(&cart.name, cart.quic.local_addr(), 1)
            .dispatch(call("echo", "")),
    )
    .await
    .unwrap();
    let reached = &link(&web).reached;
    let mut wrong = bytes::BytesMut::new();
    encode_lane_hello(VERSION as u32, &[7; LANE_TOKEN_BYTES], &mut wrong);
    for (strangers, shown) in [(1, wrong.as_ref()), (2, &b"\xff\xff\xff\xff\xff\xff"[..])] {
        let mut socket = soon(UnixStream::connect(&reached.uds_path)).await.unwrap();
        socket.write_all(shown).await.unwrap();
        let mut answer = Vec::new();
        // Closed, whichever way.
        let _ = soon(socket.read_to_end(&mut answer)).await;
        assert!(answer.is_empty());
        until(|| cart.quic.refusals().strangers == strangers).await;
    }
    // Papers of ours do not make up for the token, nor one of another node's connection.
    let address = SocketAddr::from(([127, 0, 0, 1], reached.tcp_port));
    let as_node = |node: &str| Tls::new(&world.identity(node)).unwrap().lane_client(&cart.name);
    let token = super::super::lane::greet::Token::of(
        &link(&web).connection,
        super::super::lane::greet::Side::Dialer,
        Rung::Tcp,
    );
    let mut stolen = bytes::BytesMut::new();
    encode_lane_hello(VERSION as u32, token.unwrap().bytes(), &mut stolen);
    for (strangers, node, shown) in [(3, "web", &wrong), (4, "email", &stolen)] {
        let socket = soon(TcpStream::connect(address)).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(as_node(node));
        let name = rustls::pki_types::ServerName::try_from(SERVER_NAME).unwrap();
        let mut stream = soon(connector.connect(name, socket)).await.unwrap();
        stream.write_all(shown).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        assert!(answer.is_empty(), "{node}");
        until(|| cart.quic.refusals().strangers == strangers).await;
    }
    // Papers of another authority end in the handshake.
    let elsewhere = World::new();
    let foreign = Tls::new(&elsewhere.identity("web"))
        .unwrap()
        .lane_client(&cart.name);
    let socket = soon(TcpStream::connect(address)).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(foreign);
    let name = rustls::pki_types::ServerName::try_from(SERVER_NAME).unwrap();
    assert!(soon(connector.connect(name, socket)).await.is_err());
    until(|| cart.quic.refusals().strangers == 5).await;
    // Nobody else noticed.
    soon(dial(&web, &cart, "tcp").dispatch(call("echo", "")))
        .await
        .unwrap();
}

#[tokio::test]
async fn bytes_that_are_no_frames_close_their_lane_alone() {
    let world = World::new();
    let (web, cart) = pair(&world);
    let client = dial(&web, &cart, "uds");
    soon(client.dispatch(call("echo", ""))).await.unwrap();
    let held = link(&web);
    let mut socket = soon(UnixStream::connect(&held.reached.uds_path)).await.unwrap();
    let token = super::super::lane::greet::Token::of(
        &held.connection,
        super::super::lane::greet::Side::Dialer,
        Rung::Uds,
    );
    let mut hello = bytes::BytesMut::new();
    encode_lane_hello(VERSION as u32, token.unwrap().bytes(), &mut hello);
    socket.write_all(&hello).await.unwrap();
    let mut answer = [0; LANE_TOKEN_BYTES];
    soon(socket.read_exact(&mut answer)).await.unwrap();
    socket.write_all(b"\x01\x09\x00").await.unwrap();
    let mut rest = Vec::new();
    let _ = soon(socket.read_to_end(&mut rest)).await;
    until(|| cart.quic.refusals().malformed == 1).await;
    soon(client.dispatch(call("echo", ""))).await.unwrap();
    assert!(held.is_open());
}

#[tokio::test]
async fn the_twin_answers_as_a_peer_does() {
    let callee = Callee::new();
    let twin = Twin::dispatcher(Arc::clone(&callee) as Dispatcher);
    for sampled in [false, true] {
        let mut sent = call("echo", "hello");
        sent.trace.sampled = sampled;
        let reply = soon(twin.dispatch(sent.clone())).await.unwrap();
        assert_eq!(reply.value, "hello");
        assert_eq!(reply.stages.is_some(), sampled);
        let seen = callee.seen().pop().unwrap();
        assert_eq!(
            (&seen.caller, &seen.handler, &seen.function),
            (&sent.caller, &sent.handler, &sent.function)
        );
        assert_eq!(
            (seen.trace, seen.hop, seen.type_hash),
            (sent.trace, sent.hop, sent.type_hash)
        );
        assert!(seen.deadline <= sent.deadline + WATCHDOG);
    }
    let mut staged = call("staged", "x");
    staged.trace.sampled = true;
    let stages = soon(twin.dispatch(staged)).await.unwrap().stages.unwrap();
    let parts = stages.decode + stages.wait + stages.run + stages.outgoing + stages.encode;
    assert!(stages.total > 0 && parts == stages.total, "{stages:?}");
    assert!(soon(twin.dispatch(call("err", "no"))).await.unwrap().is_err);
    let error = soon(twin.dispatch(call("trap", ""))).await.unwrap_err();
    assert_eq!(
        error,
        CallError::new(ErrorCode::Trapped, "unreachable executed").with_detail("at f")
    );
    assert_eq!(
        code(soon(twin.dispatch(call("huge", ""))).await),
        ErrorCode::Trapped
    );
    let too_large = call("echo", vec![0; 17 << 20]);
    assert_eq!(code(soon(twin.dispatch(too_large)).await), ErrorCode::Invalid);
    let unresolved = Call {
        handler: None,
        ..call("echo", "")
    };
    assert_eq!(code(soon(twin.dispatch(unresolved)).await), ErrorCode::Internal);
}
