//! Two ends over a connection in memory, carried as over a real one.

use tokio::io::duplex;

use super::*;
use crate::shutdown::Tasks;

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(std::time::Duration::from_secs(60), future)
        .await
        .expect("it happens before the watchdog barks")
}

fn pair(tasks: &Tasks) -> (Arc<Mux>, Arc<Mux>) {
    let (near, far) = duplex(1 << 10);
    let (dialer, acceptor) = (Mux::new(true, 8), Mux::new(false, 8));
    for (mux, io) in [(&dialer, near), (&acceptor, far)] {
        let mux = Arc::clone(mux);
        tasks.spawn("lane", async move { mux.carry(io).await });
    }
    (dialer, acceptor)
}

async fn read_all(recv: &Receiver) -> Result<Vec<u8>, Fault> {
    let mut all = Vec::new();
    while let Some(piece) = recv.read().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_slots_all_get_their_answers() {
    let tasks = Tasks::new();
    let (dialer, acceptor) = pair(&tasks);
    let echo = Arc::clone(&acceptor);
    let inner = tasks.clone();
    tasks.spawn("echo", async move {
        while let Ok((send, recv)) = echo.accept().await {
            inner.spawn("echo of one", async move {
                let all = read_all(&recv).await.unwrap();
                send.write(BytesMut::new(), all.into()).await.unwrap();
            });
        }
    });
    let calls = (0..200usize).map(|n| {
        let dialer = Arc::clone(&dialer);
        tasks.spawn("a call", async move {
            let (send, recv) = dialer.open().await.unwrap();
            let body = vec![n as u8; n * 997];
            send.write(BytesMut::new(), body.clone().into()).await.unwrap();
            assert!(read_all(&recv).await.unwrap() == body);
        })
    });
    let calls: Vec<_> = calls.collect();
    let answered = soon(futures_util::future::join_all(calls)).await;
    assert!(answered.into_iter().all(|call| matches!(call, Ok(Some(())))));
    drop(acceptor);
    tasks.cancel();
}

#[tokio::test]
async fn a_call_that_is_dropped_stops_who_serves_it() {
    let tasks = Tasks::new();
    let (dialer, acceptor) = pair(&tasks);
    let (send, recv) = soon(dialer.open()).await.unwrap();
    soon(send.write(BytesMut::from(&b"call"[..]), Bytes::new()))
        .await
        .unwrap();
    let (back, asked) = soon(acceptor.accept()).await.unwrap();
    assert_eq!(soon(read_all(&asked)).await.unwrap(), b"call");
    drop((send, recv));
    soon(back.stopped()).await;
}

#[tokio::test]
async fn bytes_that_are_no_frames_end_it_and_whoever_waits_learns_why() {
    let (near, mut far) = duplex(1 << 10);
    let mux = Mux::new(true, 8);
    let carried = mux.carry(near);
    let waiting = async {
        let (_send, recv) = mux.open().await.unwrap();
        recv.read().await
    };
    let foreign = far.write_all(b"\x00\x00\x00");
    let (ended, waited, written) = soon(async { tokio::join!(carried, waiting, foreign) }).await;
    written.unwrap();
    assert!(matches!(ended, Ended::Malformed(_)), "{ended:?}");
    assert!(
        matches!(waited, Err(Fault::Lost(Lost::Mux { unsent: true, .. }))),
        "{waited:?}"
    );
    assert!(!mux.is_open());
    assert!(soon(mux.open()).await.is_err());
}
