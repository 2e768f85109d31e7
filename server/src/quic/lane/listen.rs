//! The doors for lanes: a TCP port, with the UDP port's number where it is free, and a Unix socket in a private
//! directory.
//!
//! Who comes in over TCP shows a certificate of ours; who comes over the Unix socket must be the same user. Both must then
//! show the token of a link. Who does not is closed and counted as a stranger, and nobody else notices.

use std::fs::{self, DirBuilder, Permissions};
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::Rung;
use protocol::frame::SOCKET_PATH_BYTES_MAX;
use quinn::Connection;
use tokio::io::{AsyncRead, AsyncWrite, join};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::super::link::{Close, Link};
use super::super::path::Path;
use super::super::peer::Peer;
use super::super::{Error, Quic};
use super::greet;
use super::mux::{Ended, Mux};
use super::socket::Socket;

/// A handshake with its token takes milliseconds.
const GREETING_MAX: Duration = Duration::from_secs(5);
/// Lanes of all peers at the same time.
const LANES_MAX: usize = 1_024;
/// After a door failed: it may be out of files for a moment.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Where lanes are taken, before anybody comes.
pub(in crate::quic) struct Doors {
    tcp: Option<TcpListener>,
    uds: Option<(UnixListener, Place)>,
    owner: u32,
}

/// A Unix socket's file, which goes with it.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Doors {
    /// Opens them: TCP at the address, with another port if that one is taken; the Unix socket in `directory`.
    pub(in crate::quic) fn open(address: SocketAddr, directory: Option<&FilePath>) -> Result<Self, Error> {
        let bind = |source| Error::BindTcp { address, source };
        let tcp = StdTcpListener::bind(address)
            .or_else(|_| StdTcpListener::bind(SocketAddr::new(address.ip(), 0)))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(TcpListener::from_std)
            .map_err(bind)?;
        let mut doors = Self {
            tcp: Some(tcp),
            uds: None,
            owner: 0,
        };
        if let Some(directory) = directory {
            let (uds, owner) = open_uds(directory)?;
            doors.uds = uds;
            doors.owner = owner;
        }
        Ok(doors)
    }

    /// None at all.
    #[cfg(test)]
    pub(in crate::quic) fn closed() -> Self {
        Self {
            tcp: None,
            uds: None,
            owner: 0,
        }
    }

    pub(in crate::quic) fn tcp_port(&self) -> u16 {
        let address = self.tcp.as_ref().and_then(|tcp| tcp.local_addr().ok());
        address.map_or(0, |address| address.port())
    }

    pub(in crate::quic) fn uds_path(&self) -> String {
        let place = self.uds.as_ref().map(|(_, place)| place.0.display().to_string());
        place.unwrap_or_default()
    }
}

/// A Unix socket in a private directory, which is made; in one of its own below the system's where the path is too long.
fn open_uds(directory: &FilePath) -> Result<(Option<(UnixListener, Place)>, u32), Error> {
    static SOCKETS: AtomicU64 = AtomicU64::new(0);
    let name = format!(
        "{}-{}",
        std::process::id(),
        SOCKETS.fetch_add(1, Ordering::Relaxed)
    );
    let wanted = directory.join(&name);
    let (directory, path) = match wanted.as_os_str().len() <= SOCKET_PATH_BYTES_MAX && wanted.is_absolute() {
        true => (directory.to_owned(), wanted),
        false => {
            let unlike_others = blake3::hash(wanted.as_os_str().as_encoded_bytes()).to_hex();
            let directory = std::env::temp_dir().join(format!("cleave-{}", &unlike_others[..16]));
            let path = directory.join(&name);
            (directory, path)
        }
    };
    let failed = |source| Error::Socket {
        path: path.clone(),
        source,
    };
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(failed)?;
    let metadata = fs::symlink_metadata(&directory).map_err(failed)?;
    if metadata.mode() & 0o077 != 0 || !metadata.is_dir() {
        return Err(Error::Exposed {
            path: directory,
            found: metadata.mode() & 0o777,
            mode: 0o700,
        });
    }
    // Of a process that had the same number.
    let _ = fs::remove_file(&path);
    let listener = StdUnixListener::bind(&path).map_err(failed)?;
    let place = Place(path.clone());
    fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
    let owner = fs::metadata(&path).map_err(failed)?.uid();
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = UnixListener::from_std(listener).map_err(failed)?;
    Ok((Some((listener, place)), owner))
}

impl Quic {
    /// Lets lanes in until the tasks are cancelled.
    pub(in crate::quic) fn open_doors(self: &Arc<Self>, doors: Doors) {
        let places = Arc::new(Semaphore::new(LANES_MAX));
        if let Some(tcp) = doors.tcp {
            let listening = Arc::clone(self).listen_tcp(tcp, Arc::clone(&places));
            self.tasks.spawn(
                "lanes over TCP",
                self.tasks.token().run_until_cancelled_owned(listening),
            );
        }
        if let Some((uds, place)) = doors.uds {
            let listening = Arc::clone(self).listen_uds((uds, place), doors.owner, places);
            self.tasks.spawn(
                "lanes over Unix sockets",
                self.tasks.token().run_until_cancelled_owned(listening),
            );
        }
    }

    async fn listen_tcp(self: Arc<Self>, tcp: TcpListener, places: Arc<Semaphore>) {
        loop {
            let Ok((stream, address)) = tcp.accept().await else {
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            };
            let place = Arc::clone(&places).try_acquire_owned();
            let Ok(place) = place else {
                self.stranger(&address.to_string(), "no more lanes are taken");
                continue;
            };
            let quic = Arc::clone(&self);
            let socket = Socket::tcp(stream, &self.lane_bytes);
            self.tasks.spawn("lane", async move {
                let _place = place;
                let greeted = timeout(GREETING_MAX, quic.greet_tcp(socket));
                match greeted
                    .await
                    .unwrap_or_else(|_| Err("no token in time".to_owned()))
                {
                    Ok((link, stream)) => quic.serve_lane(link, stream).await,
                    Err(reason) => quic.stranger(&address.to_string(), &reason),
                }
            });
        }
    }

    async fn greet_tcp(
        &self,
        socket: Socket,
    ) -> Result<(Arc<Link>, tokio_rustls::server::TlsStream<Socket>), String> {
        let acceptor = TlsAcceptor::from(self.tls.load().lane_server());
        let mut stream = acceptor.accept(socket).await.map_err(|error| error.to_string())?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = self.peer_shown(certificates)?;
        let link = greet::check(&mut stream, self, Rung::Tcp, Some(&peer)).await?;
        Ok((link, stream))
    }

    async fn listen_uds(
        self: Arc<Self>,
        (uds, _place): (UnixListener, Place),
        owner: u32,
        places: Arc<Semaphore>,
    ) {
        const WHO: &str = "a Unix socket";
        loop {
            let Ok((stream, _)) = uds.accept().await else {
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            };
            let place = Arc::clone(&places).try_acquire_owned();
            let Ok(place) = place else {
                self.stranger(WHO, "no more lanes are taken");
                continue;
            };
            if !is_of(&stream, owner) {
                self.stranger(WHO, "it is another user's");
                continue;
            }
            let quic = Arc::clone(&self);
            let mut socket = Socket::unix(stream, &self.lane_bytes);
            self.tasks.spawn("lane", async move {
                let _place = place;
                let greeted = timeout(GREETING_MAX, greet::check(&mut socket, &quic, Rung::Uds, None));
                match greeted
                    .await
                    .unwrap_or_else(|_| Err("no token in time".to_owned()))
                {
                    Ok(link) => quic.serve_lane(link, socket).await,
                    Err(reason) => quic.stranger(WHO, &reason),
                }
            });
        }
    }

    /// Takes a second QUIC connection in, whose peer holds a link.
    pub(in crate::quic) async fn greet_quic(
        self: &Arc<Self>,
        connection: Connection,
        peer: Arc<Peer>,
    ) -> Result<(), String> {
        let greeted = timeout(GREETING_MAX, async {
            let (send, recv) = connection.accept_bi().await.map_err(|error| error.to_string())?;
            greet::check(&mut join(recv, send), self, Rung::Quic, Some(&peer)).await
        });
        let greeted = greeted
            .await
            .unwrap_or_else(|_| Err("no token in time".to_owned()));
        let link =
            greeted.inspect_err(|reason| Path::Quic(connection.clone()).close(Close::Stranger, reason))?;
        self.traffic.opened(&connection);
        let quic = Arc::clone(self);
        self.tasks.spawn("lane", async move {
            let path = Path::Quic(connection.clone());
            tokio::select! {
                biased;
                _ = link.connection.closed() => {}
                _ = quic.serve_path(&link, &path) => {}
            }
            path.close(Close::Done, "its connection ended");
            quic.traffic.ended(&connection);
        });
        Ok(())
    }

    async fn serve_lane(self: Arc<Self>, link: Arc<Link>, io: impl AsyncRead + AsyncWrite + Send + 'static) {
        let mux = Mux::new(false, self.streams_max);
        let path = Path::Mux(Arc::clone(&mux));
        let carried = Arc::clone(&self).carry(Arc::clone(&link), mux, io);
        tokio::join!(carried, self.serve_path(&link, &path));
    }

    /// Carries a lane's streams until it or its link ends.
    pub(super) async fn carry(
        self: Arc<Self>,
        link: Arc<Link>,
        mux: Arc<Mux>,
        io: impl AsyncRead + AsyncWrite,
    ) {
        tokio::select! {
            biased;
            () = self.tasks.cancelled() => mux.lose("this node stops"),
            _ = link.connection.closed() => mux.lose("its connection ended"),
            ended = mux.carry(io) => if let Ended::Malformed(error) = ended {
                self.malformed_lane(&link, &Path::Mux(mux), &error);
            }
        }
    }
}

fn is_of(stream: &UnixStream, owner: u32) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == owner)
}
