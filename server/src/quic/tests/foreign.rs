//! Strangers, and peers that send what is no frame: refused, counted, and without harm to others.

use bytes::BytesMut;
use protocol::frame::{self, CallHead, Kind, Version};
use quinn::{Connection, ConnectionError, Endpoint, SendStream};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use super::super::link::Close;
use super::super::tls::{SERVER_NAME, Tls};
use super::super::{Refusals, control};
use super::*;

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
        control.write_chunk(control::hello(1)).await.unwrap();
        soon(raw.connection.accept_uni()).await.unwrap();
        raw.control = Some(control);
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

fn frame_of(args: &[u8]) -> Vec<u8> {
    let head = CallHead {
        stages: false,
        caller: 0,
        function: 0,
        remaining: WATCHDOG,
        hop: 0,
        trace: call("echo", "").trace,
        len: args.len(),
    };
    let mut out = BytesMut::new();
    frame::encode_call(&head, &mut out);
    out.extend_from_slice(args);
    out.to_vec()
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
        let mut raw = Raw::greeted(&world, &cart).await;
        let mut callers = BytesMut::new();
        frame::encode_callers(0, &[name("web")], &mut callers);
        let mut out = BytesMut::new();
        frame::encode_mark(Kind::Callers, &callers, &mut out);
        raw.say(&out).await;
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
    let mut recv = raw.stream(&frame_of(b"")).await;
    let reply = soon(recv.read_to_end(4096)).await.unwrap();
    let (head, taken) = frame::decode_reply(&reply, false).unwrap().unwrap();
    assert_eq!(head.status, frame::Status::Failed);
    assert_eq!(
        frame::decode_error(&reply[taken..]).unwrap().code,
        ErrorCode::Rejected
    );
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
        control::hello(1).to_vec(),
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
    let hello = frame::Hello {
        version: Version::V1 as u32 + 1,
        incarnation: 1,
    };
    frame::encode_hello(&hello, &mut out);
    control.write_all(&out).await.unwrap();
    match soon(raw.connection.closed()).await {
        ConnectionError::ApplicationClosed(closed) => {
            let reason = String::from_utf8_lossy(&closed.reason).into_owned();
            assert!(reason.contains("version 2"), "{reason}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(cart.quic.refusals().strangers, 1);
    still_served(&cart, &home, &witness).await;
}
