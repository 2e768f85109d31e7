//! Dialing a lane, beside a link that is there: one attempt that everyone who needs the lane waits for.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::{CallError, ErrorCode, Rung};
use quinn::{Endpoint, EndpointConfig, Runtime as _, TokioRuntime, VarInt};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, join};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::super::link::{Close, Link};
use super::super::path::{Lost, Path};
use super::super::shaped::udp::ShapedSocket;
use super::super::tls::SERVER_NAME;
use super::super::{Quic, transport};
use super::mux::Mux;
use super::socket::Socket;
use super::{Key, Lane, greet};

/// An attempt takes milliseconds and a few delays of its way, however busy the machine is.
const DIAL_MAX: Duration = Duration::from_secs(5);

impl Quic {
    /// The lane of a link by this key, dialed if there is none. An error means that nothing left.
    pub(in crate::quic) async fn lane(
        self: &Arc<Self>,
        link: &Arc<Link>,
        key: &Key,
    ) -> Result<Arc<Lane>, CallError> {
        let no_lane = |reason: String| {
            let (node, rung) = (&link.peer.node, key.rung.word());
            CallError::new(
                ErrorCode::Unreachable,
                format!("node `{node}` is not reached over {rung}: {reason}"),
            )
        };
        let place = link
            .lanes
            .place(key)
            .ok_or_else(|| no_lane("too many edges have a way of their own".to_owned()))?;
        let dialed = place.get_or_try_init(|| async {
            // A peer that answers this lists the connection whose token it will be shown.
            link.sync().await?;
            match timeout(DIAL_MAX, self.dial_lane(link, key)).await {
                Ok(dialed) => dialed.map_err(no_lane),
                Err(_) => Err(no_lane("it does not answer in time".to_owned())),
            }
        });
        dialed.await.cloned()
    }

    async fn dial_lane(self: &Arc<Self>, link: &Arc<Link>, key: &Key) -> Result<Arc<Lane>, String> {
        let shaping = key.shaping;
        match key.rung {
            Rung::Uds => {
                let path = &link.reached.uds_path;
                if path.is_empty() {
                    return Err("it has no Unix socket".to_owned());
                }
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| format!("connect to `{path}`: {error}"))?;
                let socket = Socket::unix(stream, &self.lane_bytes).shaped(shaping, self.seed());
                self.greeted(link, key.rung, socket).await
            }
            Rung::Tcp => {
                let address = SocketAddr::new(link.address.ip(), link.reached.tcp_port);
                if address.port() == 0 {
                    return Err("it takes no TCP".to_owned());
                }
                let stream = TcpStream::connect(address).await;
                let stream = stream.map_err(|error| format!("connect to {address}: {error}"))?;
                let socket = Socket::tcp(stream, &self.lane_bytes).shaped(shaping, self.seed());
                let connector = TlsConnector::from(self.tls.load().lane_client(&link.peer.node));
                let name = ServerName::try_from(SERVER_NAME).map_err(|error| error.to_string())?;
                let stream = connector.connect(name, socket).await;
                let stream = stream.map_err(|error| format!("TLS with {address}: {error}"))?;
                self.greeted(link, key.rung, stream).await
            }
            Rung::Quic => self.dial_quic(link, key).await,
            Rung::Direct | Rung::Codec => Err("this is for calls within a node".to_owned()),
        }
    }

    /// Greets over a connection of bytes, and has it carried.
    async fn greeted(
        self: &Arc<Self>,
        link: &Arc<Link>,
        rung: Rung,
        mut io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Arc<Lane>, String> {
        greet::show(&mut io, link, rung).await?;
        let mux = Mux::new(true, self.streams_max);
        let lane = Lane::new(rung, Path::Mux(Arc::clone(&mux)));
        let carried = Arc::clone(self).carry(Arc::clone(link), mux, io);
        self.tasks.spawn("lane", carried);
        self.end_idle(link, &lane, None);
        Ok(lane)
    }

    /// A second QUIC connection, from a socket of its own with a shaped way behind it.
    async fn dial_quic(self: &Arc<Self>, link: &Arc<Link>, key: &Key) -> Result<Arc<Lane>, String> {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let socket = UdpSocket::bind(any_port).and_then(|socket| TokioRuntime.wrap_udp_socket(socket));
        let socket = socket.map_err(|error| format!("no socket for a shaped way: {error}"))?;
        let socket = ShapedSocket::new(socket, key.shaping, self.seed());
        let endpoint = EndpointConfig::default();
        let endpoint = Endpoint::new_with_abstract_socket(endpoint, None, socket, Arc::new(TokioRuntime));
        let endpoint = endpoint.map_err(|error| error.to_string())?;
        let mut config = quinn::ClientConfig::new(self.tls.load().lane_quic_client(&link.peer.node));
        config.transport_config(Arc::new(transport::shaped()));
        let connecting = endpoint.connect_with(config, link.address, SERVER_NAME);
        let connecting = connecting.map_err(|error| error.to_string())?;
        let connection = connecting.await.map_err(|error| error.to_string())?;
        let (send, recv) = connection.open_bi().await.map_err(|error| error.to_string())?;
        greet::show(&mut join(recv, send), link, key.rung).await?;
        self.traffic.opened(&connection);
        let lane = Lane::new(key.rung, Path::Quic(connection));
        self.end_idle(link, &lane, Some(endpoint));
        Ok(lane)
    }

    /// Ends a lane with its link, or once nobody used it for a while; what came too late for it is sent anew.
    fn end_idle(self: &Arc<Self>, link: &Arc<Link>, lane: &Arc<Lane>, endpoint: Option<Endpoint>) {
        let (quic, link, lane) = (Arc::clone(self), Arc::clone(link), Arc::clone(lane));
        self.tasks.spawn("lane's end", async move {
            tokio::select! {
                biased;
                () = quic.tasks.cancelled() => {}
                _ = link.connection.closed() => {}
                () = lane.path.closed() => {}
                () = lane.idle() => {}
            }
            lane.path.close(Close::Done, "nobody needs it");
            if let Path::Quic(connection) = &lane.path {
                quic.traffic.ended(connection);
            }
            if let Some(endpoint) = endpoint {
                endpoint.close(VarInt::from_u32(Close::Done as u32), b"done");
                let _ = timeout(DIAL_MAX, endpoint.wait_idle()).await;
            }
        });
    }

    /// Chance for one way; it need not be the same twice, only not the same for two.
    fn seed(&self) -> u64 {
        static WAYS: AtomicU64 = AtomicU64::new(0);
        let way = WAYS.fetch_add(2, Ordering::Relaxed);
        self.incarnation
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(way)
    }
}

impl Path {
    /// Resolves when nothing is carried any more.
    pub(in crate::quic) async fn closed(&self) {
        match self {
            Self::Quic(connection) => _ = connection.closed().await,
            Self::Mux(mux) => mux.closed().await,
        }
    }
}

impl Link {
    /// The error of a call whose path ended before its reply. Where a lane ended because its link did, the link knows why,
    /// be it a moment later.
    pub(in crate::quic) async fn error_of(&self, lost: &Lost, lane: Option<&Lane>) -> CallError {
        const WHY_MAX: Duration = Duration::from_millis(200);
        let (reason, rung) = match (lost, lane) {
            (Lost::Quic(error), None) => return self.lost(error),
            (Lost::Quic(error), Some(lane)) => (error.to_string(), lane.rung),
            (Lost::Mux { reason, .. }, lane) => {
                (reason.to_string(), lane.map_or(Rung::Quic, |lane| lane.rung))
            }
        };
        let error = match timeout(WHY_MAX, self.connection.closed()).await {
            Ok(error) => self.lost(&error),
            Err(_) => CallError::new(
                ErrorCode::Unreachable,
                format!(
                    "the {} lane to node `{}` is lost: {reason}",
                    rung.word(),
                    self.peer.node
                ),
            ),
        };
        match lost {
            Lost::Mux { unsent: true, .. } => error.unsent(),
            _ => error,
        }
    }
}
