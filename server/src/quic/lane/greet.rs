//! How the two ends of a lane know each other: by tokens that only the two ends of its link can derive.
//!
//! They come from the TLS of the link's own connection, so that nothing secret travels before the lane is there, and a
//! token is good for one link. Who dialed shows one, who accepted answers with another. Compared in constant time.

use std::sync::Arc;

use bytes::BytesMut;
use protocol::Rung;
use protocol::frame::{
    LANE_HELLO_BYTES_MAX, LANE_TOKEN_BYTES, VERSION, decode_lane_hello, encode_lane_hello,
};
use quinn::Connection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::Quic;
use super::super::link::Link;
use super::super::peer::Peer;

/// What shows that somebody holds a link.
#[derive(Clone, Copy)]
pub(in crate::quic) struct Token(blake3::Hash);

/// Whose token.
#[derive(Debug, Clone, Copy)]
pub(in crate::quic) enum Side {
    Dialer,
    Acceptor,
}

impl Token {
    /// The token of one side, for a lane of this rung beside a connection.
    pub(in crate::quic) fn of(connection: &Connection, side: Side, rung: Rung) -> Option<Self> {
        let label: &[u8] = match side {
            Side::Dialer => b"EXPORTER-cleave-lane-dialer",
            Side::Acceptor => b"EXPORTER-cleave-lane-acceptor",
        };
        let mut bytes = [0; LANE_TOKEN_BYTES];
        let context = rung.word().as_bytes();
        connection
            .export_keying_material(&mut bytes, label, context)
            .ok()?;
        Some(Self(bytes.into()))
    }

    #[cfg(test)]
    pub(in crate::quic) fn bytes(&self) -> &[u8; LANE_TOKEN_BYTES] {
        self.0.as_bytes()
    }

    /// In constant time, as `blake3::Hash` is compared.
    fn is(self, other: Self) -> bool {
        self.0 == other.0
    }
}

/// Shows the dialer's token and believes nobody but who answers with the acceptor's.
pub(super) async fn show(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    link: &Link,
    rung: Rung,
) -> Result<(), String> {
    let token = |side| Token::of(&link.connection, side, rung).ok_or("no token for a lane");
    let mut hello = BytesMut::with_capacity(LANE_HELLO_BYTES_MAX);
    encode_lane_hello(VERSION as u32, token(Side::Dialer)?.0.as_bytes(), &mut hello);
    let answered = async {
        io.write_all(&hello).await?;
        io.flush().await?;
        let mut answer = [0; LANE_TOKEN_BYTES];
        io.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = answered.await.map_err(|error| format!("not accepted: {error}"))?;
    if Token(answer.into()).is(token(Side::Acceptor)?) {
        Ok(())
    } else {
        Err("who answers there does not hold the connection to the node".to_owned())
    }
}

/// Reads a token, finds its link and answers. `peer` is who the certificate says it is, where there was one.
pub(super) async fn check(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    quic: &Quic,
    rung: Rung,
    peer: Option<&Arc<Peer>>,
) -> Result<Arc<Link>, String> {
    let mut bytes = BytesMut::with_capacity(LANE_HELLO_BYTES_MAX);
    let (version, token) = loop {
        match decode_lane_hello(&bytes) {
            Ok(Some((version, token, taken))) if taken == bytes.len() => break (version, token),
            Ok(Some(_)) => return Err("something came behind the hello of a lane".to_owned()),
            Ok(None) => {}
            Err(error) => return Err(format!("no hello of a lane: {error}")),
        }
        match io.read_buf(&mut bytes).await {
            Ok(0) => return Err("no hello of a lane".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(format!("no hello of a lane: {error}")),
        }
    };
    if version != VERSION as u32 {
        return Err(format!(
            "it speaks version {version} of the frames, this node {}",
            VERSION as u32
        ));
    }
    let link = quic
        .link_of(Token(token.into()), rung, peer)
        .ok_or("its token is of no connection with this node")?;
    let answer = Token::of(&link.connection, Side::Acceptor, rung).ok_or("no token for a lane")?;
    let answered = async {
        io.write_all(answer.0.as_bytes()).await?;
        io.flush().await
    };
    answered.await.map_err(|error| error.to_string())?;
    Ok(link)
}

impl Quic {
    /// The link that a token was derived from. Every link is looked at, whatever is found.
    fn link_of(&self, token: Token, rung: Rung, peer: Option<&Arc<Peer>>) -> Option<Arc<Link>> {
        let mut found = None;
        for link in self.links() {
            let is_peer = peer.is_none_or(|peer| Arc::ptr_eq(peer, &link.peer));
            let expected = Token::of(&link.connection, Side::Dialer, rung);
            if expected.is_some_and(|expected| expected.is(token)) && is_peer && link.is_open() {
                found = Some(link);
            }
        }
        found
    }
}
