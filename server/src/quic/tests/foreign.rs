//! Strangers, and peers that send what is no frame: refused, counted, and without harm to others.

use bytes::BytesMut;
use protocol::frame::{self, CallHead, Hello, Kind, VERSION};
use quinn::{Connection, ConnectionError, Endpoint, SendStream};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use super::super::link::Close;
use super::super::tls::{SERVER_NAME, Tls};
use super::super::{Refusals, control};
use super::*;

/// The hello of an incarnation that takes no lanes.
fn hello() -> Hello {
    Hello {
        version: VERSION as u32,
        incarnation: 1,
        tcp_port: 0,
        uds_path: String::new(),
    }
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// A peer without our code: its endpoint, which must live, and its connection.
struct Raw {
    _endpoint: Endpoint,
    connection: Connection,
    control: Option<SendStream>,
}

impl Raw {
    /// Dials; the error is the handshake's, or what closed the connection right after it.
    async fn dial(
        identity: &Identity,
        to: &Node,
        alter: impl FnOnce(&mut ClientConfig),
    ) -> Result<Self, ConnectionError> {
        let mut config = Tls::new(identity).unwrap().config(&to.name);
        alter(&mut config);
        let config = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
        let endpoint = Endpoint::client(loopback()).unwrap();
        let connecting = endpoint
            .connect_with(
                quinn::ClientConfig::new(Arc::new(config)),
                to.quic.local_addr(),
                SERVER_NAME,
            )
            .unwrap();
        Ok(Self {
            connection: soon(connecting).await?,
            _endpoint: endpoint,
            control: None,
        })
    }

    /// Dials and says hello as a node would.
    async fn greeted(world: &World, to: &Node) -> Self {
        let mut raw = Self::dial(&world.identity("web"), to, |_| {}).await.unwrap();
        let mut control = raw.connection.open_uni().await.unwrap();
        control.write_chunk(control::hello(&hello())).await.unwrap();
        soon(raw.connection.accept_uni()).await.unwrap();
        raw.control = Some(control);
        raw
    }

    /// Says hello, and in whose name it calls.
    async fn announced(world: &World, to: &Node) -> Self {
        let mut raw = Self::greeted(world, to).await;
        let mut callers = BytesMut::new();
        frame::encode_callers(0, &[name("web")], &mut callers);
        let mut out = BytesMut::new();
        frame::encode_mark(Kind::Callers, &callers, &mut out);
        raw.say(&out).await;
        raw
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.control.as_mut().unwrap().write_all(bytes).await.unwrap();
    }

    /// A call's stream with these bytes, and nothing after them.
    async fn stream(&self, bytes: &[u8]) -> quinn::RecvStream {
        let (mut send, recv) = self.connection.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        send.finish().unwrap();
        recv
    }

    async fn closed_as(&self, close: Close) {
        match soon(self.connection.closed()).await {
            ConnectionError::ApplicationClosed(closed) => {
                assert_eq!(closed.error_code.into_inner(), close as u64);
            }
            other => panic!("closed as {close:?}, not because {other}"),
        }
    }
}

fn head_of(args: &[u8]) -> CallHead {
    CallHead {
        stages: false,
        caller: 0,
        function: 0,
        remaining: WATCHDOG,
        hop: 0,
        trace: call("echo", "").trace,
        len: args.len(),
    }
}

fn frame_of(args: &[u8]) -> Vec<u8> {
    written(head_of(args), args)
}

fn written(head: CallHead, args: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame::encode_call(&head, &mut out);
    out.extend_from_slice(args);
    out.to_vec()
}

/// The code of the error that a stream is answered with.
async fn refused_as(mut recv: quinn::RecvStream) -> ErrorCode {
    let reply = soon(recv.read_to_end(4096)).await.unwrap();
    let (head, taken) = frame::decode_reply(&reply, false).unwrap().unwrap();
    assert_eq!(head.status, frame::Status::Failed);
    frame::decode_error(&reply[taken..]).unwrap().code
}

/// `cart`, with a witness who is connected before and must not notice anything.
async fn with_witness(world: &World) -> (Node, Node, Arc<PeerClient>) {
    let (cart, home) = (world.node("cart"), world.node("home"));
    let witness = home.client(&cart);
    soon(witness.dispatch(call("echo", ""))).await.unwrap();
    (cart, home, witness)
}

async fn still_served(cart: &Node, home: &Node, witness: &PeerClient) {
    soon(witness.dispatch(call("echo", "well?"))).await.unwrap();
    assert_eq!(
        home.quic.endpoint.open_connections(),
        1,
        "over the connection from before"
    );
    assert_eq!(cart.callee.seen().len(), 2, "nothing of the foreigner ran");
}

async fn stranger(identity: &Identity, cart: &Node, alter: impl FnOnce(&mut ClientConfig)) {
    let before = cart.quic.refusals().strangers;
    // A TLS 1.3 client is done before the listener has looked at its certificate.
    if let Ok(raw) = Raw::dial(identity, cart, alter).await {
        let reason = soon(raw.connection.closed()).await;
        assert!(
            !matches!(reason, ConnectionError::TimedOut | ConnectionError::LocallyClosed),
            "{reason}"
        );
    }
    until(|| cart.quic.refusals().strangers == before + 1).await;
}

#[tokio::test]
async fn strangers_are_refused() {
    let world = World::new();
    let (cart, home, witness) = with_witness(&world).await;
    let ours = world.identity("web");
    // Ours, but none shown; ours, with another protocol.
    stranger(&ours, &cart, |config| {
        config.client_auth_cert_resolver = Arc::new(NoCertificate)
    })
    .await;
    stranger(&ours, &cart, |config| {
        config.alpn_protocols = vec![b"cleave/0".to_vec()]
    })
    .await;
    stranger(&ours, &cart, |config| config.alpn_protocols = vec![]).await;
    // Somebody else's authority, though he knows ours.
    let theirs = Identity {
        authority_pem: ours.authority_pem.clone(),
        ..World::new().identity("web")
    };
    stranger(&theirs, &cart, |_| {}).await;
    // The callee's own name.
    stranger(&world.identity("cart"), &cart, |_| {}).await;
    assert_eq!(
        cart.quic.refusals(),
        Refusals {
            strangers: 5,
            ..Refusals::default()
        }
    );
    still_served(&cart, &home, &witness).await;
}

#[tokio::test]
async fn a_caller_talks_to_nobody_but_the_node_that_it_means() {
    let world = World::new();
    let (web, cart) = world.pair();
    let email = web.quic.client(&node_name("email"), cart.quic.local_addr(), 1);
    assert_eq!(
        code(soon(email.dispatch(call("echo", ""))).await),
        ErrorCode::Unreachable
    );
    let later = web.quic.client(&cart.name, cart.quic.local_addr(), 2);
    assert_eq!(
        code(soon(later.dispatch(call("echo", ""))).await),
        ErrorCode::Unreachable
    );
    let elsewhere = World::new().node("cart");
    assert_eq!(
        code(soon(web.client(&elsewhere).dispatch(call("echo", ""))).await),
        ErrorCode::Unreachable
    );
    assert!(cart.callee.seen().is_empty() && elsewhere.callee.seen().is_empty());
    soon(web.client(&cart).dispatch(call("echo", ""))).await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_no_call_close_their_connection_alone() {
    let world = World::new();
    let (cart, home, witness) = with_witness(&world).await;
    cart.quic
        .set_callers(&node_name("web"), HashSet::from([name("web")]));
    let whole = frame_of(b"arguments");
    let mut bad: Vec<Vec<u8>> = (0..whole.len()).map(|end| whole[..end].to_vec()).collect();
    bad.push([whole.as_slice(), b"!"].concat());
    // A head that announces 17 MiB: refused before any of them comes.
    let mut too_long = whole[..whole.len() - 10].to_vec();
    too_long.extend([0x80, 0x80, 0x80 | 0x44, 0x00].into_iter().take(2));
    too_long.extend([0xc0, 0x08]);
    bad.push(too_long);
    let mut rng = StdRng::seed_from_u64(1);
    for len in [1, 7, 64, 1000, 20_000] {
        let mut bytes = vec![0; len];
        rng.fill_bytes(&mut bytes);
        bytes[0] |= 0x80;
        bad.push(bytes);
    }
    let count = bad.len() as u64;
    for bytes in bad {
        let raw = Raw::announced(&world, &cart).await;
        raw.stream(&bytes).await;
        raw.closed_as(Close::Malformed).await;
    }
    assert_eq!(
        cart.quic.refusals(),
        Refusals {
            malformed: count,
            ..Refusals::default()
        }
    );
    still_served(&cart, &home, &witness).await;
}

#[tokio::test]
async fn a_caller_that_was_never_announced_is_refused_in_words() {
    let world = World::new();
    let (cart, home, witness) = with_witness(&world).await;
    let raw = Raw::greeted(&world, &cart).await;
    let recv = raw.stream(&frame_of(b"")).await;
    assert_eq!(refused_as(recv).await, ErrorCode::Rejected);
    still_served(&cart, &home, &witness).await;
}

#[tokio::test]
async fn control_streams_are_held_to_their_rules() {
    let world = World::new();
    let (cart, home, witness) = with_witness(&world).await;
    let mark = |kind, body: &[u8]| {
        let mut out = BytesMut::new();
        frame::encode_mark(kind, body, &mut out);
        out.to_vec()
    };
    let mut gap = BytesMut::new();
    frame::encode_callers(1, &[name("web")], &mut gap);
    let routes = Control::Routes(Box::default());
    let bad = [
        vec![0, 0],
        vec![200],
        control::hello(&hello()).to_vec(),
        mark(Kind::Callers, &gap),
        mark(Kind::Exports, b"nonsense"),
        mark(Kind::Control, b"\xff\xff"),
        mark(Kind::Sync, &[0x80, 0x00]),
        // Only home may send these.
        frame::encode_control(&routes).unwrap().to_vec(),
        frame::encode_control(&Control::Drain).unwrap().to_vec(),
    ];
    for bytes in &bad {
        let mut raw = Raw::greeted(&world, &cart).await;
        raw.say(bytes).await;
        raw.closed_as(Close::Malformed).await;
    }
    assert_eq!(cart.quic.refusals().malformed, bad.len() as u64);
    still_served(&cart, &home, &witness).await;
}

#[tokio::test]
async fn another_version_is_refused_in_words() {
    let world = World::new();
    let (cart, home, witness) = with_witness(&world).await;
    let raw = Raw::dial(&world.identity("web"), &cart, |_| {}).await.unwrap();
    let mut control = raw.connection.open_uni().await.unwrap();
    let mut out = BytesMut::new();
    let hello = Hello {
        version: VERSION as u32 + 1,
        ..hello()
    };
    frame::encode_hello(&hello, &mut out);
    control.write_all(&out).await.unwrap();
    match soon(raw.connection.closed()).await {
        ConnectionError::ApplicationClosed(closed) => {
            let reason = String::from_utf8_lossy(&closed.reason).into_owned();
            assert!(reason.contains("version 3"), "{reason}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(cart.quic.refusals().strangers, 1);
    still_served(&cart, &home, &witness).await;
}

#[tokio::test]
async fn an_id_that_stands_for_nothing_is_not_found_and_nothing_runs() {
    let world = World::new();
    let (cart, home, witness) = with_witness(&world).await;
    cart.quic
        .set_callers(&node_name("web"), HashSet::from([name("web")]));
    let raw = Raw::announced(&world, &cart).await;
    for function in [FUNCTIONS.len() as u32, 1 << 16, u32::MAX] {
        let head = CallHead {
            function,
            ..head_of(b"arguments")
        };
        let recv = raw.stream(&written(head, b"arguments")).await;
        assert_eq!(refused_as(recv).await, ErrorCode::NotFound, "{function}");
    }
    assert_eq!(
        cart.quic.refusals(),
        Refusals::default(),
        "an id may be behind: no harm is meant"
    );
    still_served(&cart, &home, &witness).await;
}

#[tokio::test]
async fn arguments_that_never_come_end_with_their_deadline() {
    let world = World::new();
    let (cart, home, witness) = with_witness(&world).await;
    cart.quic
        .set_callers(&node_name("web"), HashSet::from([name("web")]));
    let raw = Raw::announced(&world, &cart).await;
    let head = CallHead {
        remaining: Duration::from_millis(20),
        ..head_of(b"arguments")
    };
    let mut slow = Vec::new();
    for _ in 0..100 {
        let (mut send, recv) = raw.connection.open_bi().await.unwrap();
        send.write_all(&written(head, b"argu")[..]).await.unwrap();
        slow.push((send, recv));
    }
    for (_send, recv) in slow {
        assert_eq!(refused_as(recv).await, ErrorCode::Deadline);
    }
    until(|| cart.quic.calls_under_way() == 0).await;
    still_served(&cart, &home, &witness).await;
}

#[tokio::test]
async fn heads_that_never_end_close_their_connection_alone() {
    let world = World::new();
    let (cart, home, witness) = with_witness(&world).await;
    let raw = Raw::announced(&world, &cart).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let (mut send, recv) = raw.connection.open_bi().await.unwrap();
        send.write_all(&frame_of(b"")[..1]).await.unwrap();
        slow.push((send, recv));
    }
    raw.closed_as(Close::Malformed).await;
    until(|| cart.quic.calls_under_way() == 0).await;
    still_served(&cart, &home, &witness).await;
}

/// Forwards datagrams between a node and whoever writes to it, and keeps those that went to the node.
struct Tap {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    async fn on(node: &Node) -> Self {
        let socket = tokio::net::UdpSocket::bind(loopback()).await.unwrap();
        let address = socket.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let (to, kept) = (node.quic.local_addr(), Arc::clone(&heard));
        node.tasks.spawn("tap", async move {
            let mut from = None;
            let mut datagram = vec![0; 1 << 16];
            while let Ok((len, source)) = socket.recv_from(&mut datagram).await {
                let datagram = &datagram[..len];
                if source == to {
                    let back = from.expect("the node answers");
                    socket.send_to(datagram, back).await.unwrap();
                } else {
                    from = Some(source);
                    kept.lock().unwrap().push(datagram.to_vec());
                    socket.send_to(datagram, to).await.unwrap();
                }
            }
        });
        Self { address, heard }
    }
}

#[tokio::test]
async fn a_replayed_connection_runs_nothing() {
    let world = World::new();
    let (cart, home, witness) = with_witness(&world).await;
    let web = world.node("web");
    cart.allow(&web, &["web"]);
    let tap = Tap::on(&cart).await;
    let through = web.quic.client(&cart.name, tap.address, 1);
    soon(through.dispatch(call("echo", "pay"))).await.unwrap();
    soon(web.quic.drain(WATCHDOG)).await.unwrap();
    let ran = cart.callee.seen().len();
    let recorded = tap.heard.lock().unwrap().clone();
    assert!(recorded.len() > 3, "a handshake, hellos and a call");
    // While the connection it was recorded from is remembered, what comes again is taken for late packets of it.
    until(|| cart.quic.endpoint.open_connections() == 1).await;
    let thief = tokio::net::UdpSocket::bind(loopback()).await.unwrap();
    for _ in 0..3 {
        for datagram in &recorded {
            thief.send_to(datagram, cart.quic.local_addr()).await.unwrap();
        }
    }
    // It cannot finish the handshake that its first packet asks for.
    until(|| cart.quic.refusals().strangers > 0).await;
    assert_eq!(cart.callee.seen().len(), ran, "nothing ran twice");
    // The witness's alone.
    until(|| cart.quic.endpoint.open_connections() == 1).await;
    assert_eq!(cart.quic.refusals().malformed, 0);
    soon(witness.dispatch(call("echo", "well?"))).await.unwrap();
    assert_eq!(
        home.quic.endpoint.open_connections(),
        1,
        "over the connection from before"
    );
}

#[tokio::test]
async fn a_function_that_its_caller_does_not_import_is_refused_and_nothing_runs() {
    let world = World::new();
    let (cart, home, witness) = with_witness(&world).await;
    cart.quic
        .set_callers(&node_name("web"), HashSet::from([name("web")]));
    cart.permit(&["web"], &[exported("cart", "echo")]);
    let raw = Raw::announced(&world, &cart).await;
    let call_of = async |function: u32| {
        let head = CallHead {
            function,
            ..head_of(b"arguments")
        };
        raw.stream(&written(head, b"arguments")).await
    };
    // The first is given time for rights that are on their way; the others are not.
    for function in [1, 1, 2] {
        assert_eq!(refused_as(call_of(function).await).await, ErrorCode::Rejected);
    }
    assert_eq!(
        cart.quic.refusals(),
        Refusals {
            unauthorised: 3,
            ..Refusals::default()
        }
    );
    assert_eq!(cart.callee.seen().len(), 1, "the witness's call alone");
    // Rights that come while a call waits for them let it in; those that go let no further one in.
    cart.permit(&["web"], &[]);
    let waiting = call_of(3).await;
    until(|| cart.quic.calls_under_way() == 1).await;
    cart.permit(&["web"], &FUNCTIONS.map(|function| exported("cart", function)));
    until(|| cart.callee.seen().len() == 2).await;
    cart.callee.may_end.add_permits(1);
    let mut answered = waiting;
    let reply = soon(answered.read_to_end(4096)).await.unwrap();
    assert_eq!(
        frame::decode_reply(&reply, false).unwrap().unwrap().0.status,
        frame::Status::Ok
    );
    cart.permit(&["web"], &[exported("cart", "echo")]);
    assert_eq!(refused_as(call_of(3).await).await, ErrorCode::Rejected);
    soon(witness.dispatch(call("echo", "well?"))).await.unwrap();
    assert_eq!(home.quic.endpoint.open_connections(), 1);
}
