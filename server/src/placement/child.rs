//! A child's side of its start: it reads its [`Birth`] from stdin, says where it listens, and watches stdin.
//!
//! Home keeps the child's stdin open for as long as it wants the child. When stdin ends, home is gone or wants the child
//! gone: the child has a grace to end by itself and is ended after that, so that no orphan outlives home, not even one
//! whose guests keep its threads busy. How home does its side is in `children`.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use protocol::control::Birth;
use tokio::sync::oneshot;

/// The longest birth: three PEM texts and a few names are a tenth of it. It fits a pipe, so that writing it never waits
/// for the child.
pub const BIRTH_BYTES_MAX: usize = 64 << 10;
/// How long a child may take to end by itself once home is gone.
pub const ORPHAN_GRACE: Duration = Duration::from_secs(2);

/// Why a child cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Stdin ended early: started by hand, or home died.
    #[error("cannot read what home says on stdin; `cleave node` is started by `cleave up`, not by hand")]
    Read(#[source] std::io::Error),
    /// Too long.
    #[error(
        "home says {bytes} bytes on stdin, more than {BIRTH_BYTES_MAX}; `cleave node` is started by `cleave up`"
    )]
    TooLong {
        /// The announced length.
        bytes: usize,
    },
    /// Not what home writes.
    #[error("cannot understand what home says on stdin; home and child must be the same version of `cleave`")]
    Malformed(#[source] serde_json::Error),
    /// Stdout is closed.
    #[error("cannot tell home where this node listens")]
    Announce(#[source] std::io::Error),
    /// No thread.
    #[error("cannot start the thread that watches stdin")]
    Watch(#[source] std::io::Error),
}

/// Reads this process's birth from stdin. Blocks for as long as home takes to write it: call it before anything else.
pub fn birth() -> Result<Birth, Error> {
    read_birth(&mut std::io::stdin().lock())
}

/// Tells home where this node listens: the one line on stdout.
pub fn announce(address: SocketAddr) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{address}")
        .and_then(|()| stdout.flush())
        .map_err(Error::Announce)
}

/// Resolves when home is gone or wants this node gone. From then on the process has [`ORPHAN_GRACE`] to end by itself,
/// then it is ended with exit code 1.
pub fn home_gone() -> Result<impl Future<Output = ()> + Send, Error> {
    watch(std::io::stdin(), ORPHAN_GRACE, || std::process::exit(1))
}

/// A birth as it is written to a child: its length as four bytes, the highest first, then JSON.
pub(super) fn write_birth(birth: &Birth) -> Result<Vec<u8>, serde_json::Error> {
    let json = serde_json::to_vec(birth)?;
    let mut bytes = (json.len() as u32).to_be_bytes().to_vec();
    bytes.extend(json);
    Ok(bytes)
}

/// Reads a birth as it was written.
pub(super) fn read_birth(from: &mut impl Read) -> Result<Birth, Error> {
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(Error::Read)?;
    let bytes = u32::from_be_bytes(length) as usize;
    if bytes > BIRTH_BYTES_MAX {
        return Err(Error::TooLong { bytes });
    }
    let mut json = vec![0; bytes];
    from.read_exact(&mut json).map_err(Error::Read)?;
    serde_json::from_slice(&json).map_err(Error::Malformed)
}

/// Watches `from` on a thread of its own, so that a runtime whose workers are all busy cannot miss its end.
fn watch(
    mut from: impl Read + Send + 'static,
    grace: Duration,
    overdue: impl FnOnce() + Send + 'static,
) -> Result<impl Future<Output = ()> + Send, Error> {
    let (gone, wait) = oneshot::channel::<()>();
    let (held, never) = std::sync::mpsc::sync_channel::<()>(1);
    let run = move || {
        let mut ignored = [0; 512];
        loop {
            match from.read(&mut ignored) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        drop(gone);
        // The sender is held here as well, so this waits for the whole grace.
        let _ = never.recv_timeout(grace);
        drop(held);
        overdue();
    };
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(run)
        .map_err(Error::Watch)?;
    Ok(async move {
        // Nothing is ever sent: that the sender is gone is the message.
        let _ = wait.await;
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::mpsc;

    use protocol::NodeName;

    use super::*;

    fn cart() -> Birth {
        Birth {
            node: NodeName::parse("cart").unwrap(),
            incarnation: 3,
            home: SocketAddr::from(([127, 0, 0, 1], 4_433)),
            authority_pem: "authority".to_owned(),
            certificate_pem: "certificate".to_owned(),
            key_pem: "key".to_owned(),
            cache: PathBuf::from("cache"),
            sockets: PathBuf::new(),
            sampling: "100/s".to_owned(),
            arguments: false,
        }
    }

    #[test]
    fn a_birth_is_read_as_it_was_written() {
        let bytes = write_birth(&cart()).unwrap();
        let birth = read_birth(&mut bytes.as_slice()).unwrap();
        assert_eq!(birth.node, cart().node);
        assert_eq!(birth.incarnation, 3);
        assert_eq!(birth.key_pem, "key");
    }

    #[test]
    fn a_birth_that_is_cut_too_long_or_no_birth_is_refused() {
        let bytes = write_birth(&cart()).unwrap();
        for length in 0..bytes.len() {
            let cut = bytes.get(..length).unwrap();
            assert!(matches!(read_birth(&mut &*cut), Err(Error::Read(_))), "{length}");
        }
        let long = (BIRTH_BYTES_MAX as u32 + 1).to_be_bytes();
        assert!(
            matches!(read_birth(&mut long.as_slice()), Err(Error::TooLong { bytes }) if bytes == BIRTH_BYTES_MAX + 1)
        );
        let other = [0, 0, 0, 2, b'{', b'}'];
        assert!(matches!(
            read_birth(&mut other.as_slice()),
            Err(Error::Malformed(_))
        ));
    }

    #[tokio::test]
    async fn the_end_of_stdin_is_told_at_once_and_enforced_after_the_grace() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let (overdue, enforced) = mpsc::sync_channel(1);
        let gone = watch(reader, Duration::from_millis(20), move || {
            overdue.send(()).unwrap()
        })
        .unwrap();
        tokio::pin!(gone);
        writer.write_all(b"not the end").unwrap();
        assert!(futures_util::FutureExt::now_or_never(gone.as_mut()).is_none());
        assert!(enforced.try_recv().is_err());
        drop(writer);
        tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
        enforced.recv_timeout(Duration::from_secs(60)).unwrap();
    }
}
