//! Two ends of a lane without a connection between: what one takes out the other takes in.

use std::task::Waker;

use proptest::prelude::*;
use protocol::frame::decode_lane;
use tokio::sync::Semaphore;

use super::*;

/// Two ends, and what is on its way between them.
struct Ends {
    dialer: Streams,
    acceptor: Streams,
    slots: Arc<Semaphore>,
}

impl Ends {
    fn new(streams_max: usize) -> Self {
        Self {
            dialer: Streams::new(true, streams_max),
            acceptor: Streams::new(false, streams_max),
            slots: Arc::new(Semaphore::new(streams_max)),
        }
    }

    fn open(&mut self) -> u64 {
        let slot = Arc::clone(&self.slots).try_acquire_owned().unwrap();
        self.dialer.open(slot)
    }

    /// One batch each way; whether anything moved.
    fn exchange(&mut self) -> bool {
        let there = pass(&mut self.dialer, &mut self.acceptor).unwrap();
        let back = pass(&mut self.acceptor, &mut self.dialer).unwrap();
        there + back > 0
    }
}

/// Moves a batch from one end to the other; how many bytes it was.
fn pass(from: &mut Streams, to: &mut Streams) -> Result<usize, FrameError> {
    let mut bytes = BytesMut::new();
    from.take(&mut bytes);
    let count = bytes.len();
    feed(to, &mut bytes)?;
    assert!(bytes.is_empty(), "batches end with a frame");
    Ok(count)
}

fn feed(to: &mut Streams, bytes: &mut BytesMut) -> Result<(), FrameError> {
    while let Some((head, taken)) = decode_lane(bytes)? {
        if bytes.len() < taken + head.len {
            break;
        }
        bytes.advance(taken);
        to.receive(head, bytes)?;
    }
    Ok(())
}

fn read(streams: &mut Streams, id: u64) -> Poll<Result<Option<Bytes>, Gone>> {
    streams.read(id, &mut Context::from_waker(Waker::noop()))
}

/// Reads what is there; whether the stream has ended.
fn drink(streams: &mut Streams, id: u64, into: &mut Vec<u8>) -> bool {
    loop {
        match read(streams, id) {
            Poll::Ready(Ok(Some(piece))) => into.extend_from_slice(&piece),
            Poll::Ready(Ok(None)) => return true,
            Poll::Ready(Err(gone)) => panic!("{gone:?}"),
            Poll::Pending => return false,
        }
    }
}

fn body(len: usize, id: u64) -> Bytes {
    (0..len).map(|at| (at as u64 * 7 + id) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn streams_that_interleave_arrive_whole(lens in prop::collection::vec(0usize..400_000, 1..12)) {
        let mut ends = Ends::new(16);
        let sent: Vec<(u64, Bytes)> = lens.iter().map(|len| {
            let id = ends.open();
            let body = body(*len, id);
            ends.dialer.send(id, [Bytes::from_static(b"head"), body.clone()]).unwrap();
            (id, body)
        }).collect();
        let mut there: FxHashMap<u64, (Vec<u8>, bool)> = FxHashMap::default();
        let mut back: FxHashMap<u64, (Vec<u8>, bool)> = sent.iter().map(|(id, _)| (*id, Default::default())).collect();
        loop {
            let moved = ends.exchange();
            while let Some(id) = ends.acceptor.accept() {
                there.entry(id).or_default();
            }
            for (id, (bytes, ended)) in &mut there {
                if !*ended && drink(&mut ends.acceptor, *id, bytes) {
                    *ended = true;
                    // The echo, and both halves are let go at once.
                    ends.acceptor.send(*id, [Bytes::copy_from_slice(bytes), Bytes::new()]).unwrap();
                    ends.acceptor.let_go(*id);
                    ends.acceptor.let_go(*id);
                }
            }
            for (id, (bytes, ended)) in &mut back {
                *ended = *ended || drink(&mut ends.dialer, *id, bytes);
            }
            if !moved {
                break;
            }
        }
        for (id, sent) in &sent {
            let expected = [b"head", sent.as_ref()].concat();
            prop_assert!(there[id].1 && there[id].0 == expected);
            prop_assert!(back[id].1 && back[id].0 == expected);
            ends.dialer.let_go(*id);
            ends.dialer.let_go(*id);
        }
        prop_assert!(ends.dialer.streams.is_empty() && ends.acceptor.streams.is_empty());
        prop_assert_eq!((ends.dialer.queued, ends.acceptor.queued, ends.dialer.open, ends.acceptor.open), (0, 0, 0, 0));
    }

    #[test]
    fn foreign_bytes_never_panic_and_hold_no_more_than_the_windows(bytes: Vec<u8>, is_dialer: bool) {
        let mut streams = Streams::new(is_dialer, 4);
        let mut bytes = BytesMut::from(bytes.as_slice());
        let _ = feed(&mut streams, &mut bytes);
        prop_assert!(streams.open <= 4);
    }
}

#[test]
fn streams_that_begin_in_another_order_than_they_were_opened_all_arrive() {
    let mut ends = Ends::new(4);
    let keys = [ends.open(), ends.open(), ends.open()];
    // The second is given up before it begins.
    ends.dialer.reset(keys[1]);
    for key in [keys[2], keys[0]] {
        ends.dialer.send(key, [body(9, key), Bytes::new()]).unwrap();
    }
    while ends.exchange() {}
    for key in [keys[2], keys[0]] {
        let id = ends.acceptor.accept().unwrap();
        let mut asked = Vec::new();
        assert!(drink(&mut ends.acceptor, id, &mut asked));
        assert_eq!(asked, body(9, key));
        ends.acceptor.send(id, [asked.into(), Bytes::new()]).unwrap();
    }
    assert!(ends.acceptor.accept().is_none());
    while ends.exchange() {}
    for key in [keys[0], keys[2]] {
        let mut answered = Vec::new();
        assert!(drink(&mut ends.dialer, key, &mut answered));
        assert_eq!(answered, body(9, key));
    }
    assert!(ends.dialer.keys.is_empty());
}

#[test]
fn a_small_call_leaves_as_one_frame() {
    let mut ends = Ends::new(4);
    let id = ends.open();
    ends.dialer
        .send(id, [Bytes::from_static(b"he"), Bytes::from_static(b"llo")])
        .unwrap();
    let mut out = BytesMut::new();
    ends.dialer.take(&mut out);
    assert_eq!(out.as_ref(), b"\x01\x01\x05hello");
}

#[test]
fn who_does_not_read_is_not_sent_more_than_a_window() {
    let mut ends = Ends::new(4);
    let id = ends.open();
    let sent = body(3 * WINDOW_BYTES, id);
    ends.dialer.send(id, [sent.clone(), Bytes::new()]).unwrap();
    while ends.exchange() {}
    assert_eq!(ends.acceptor.streams[&id].held(), WINDOW_BYTES);
    // Another one is not held up.
    let other = ends.open();
    ends.dialer.send(other, [body(10, other), Bytes::new()]).unwrap();
    while ends.exchange() {}
    let (mut first, mut second) = (Vec::new(), Vec::new());
    assert!(drink(&mut ends.acceptor, other, &mut second));
    assert_eq!(second, body(10, other));
    // Reading gives the window back.
    while !drink(&mut ends.acceptor, id, &mut first) {
        assert!(ends.exchange());
    }
    assert!(first == sent);
    // More than what was given is no frame of ours.
    let mut other = Streams::new(false, 4);
    let mut flood = BytesMut::new();
    for _ in 0..=WINDOW_BYTES / LANE_CHUNK_BYTES_MAX {
        let head = LaneHead {
            stream: 1,
            kind: LaneKind::Data,
            len: LANE_CHUNK_BYTES_MAX,
        };
        encode_lane(&head, &mut flood);
        flood.extend_from_slice(&[7; LANE_CHUNK_BYTES_MAX]);
    }
    let refused = feed(&mut other, &mut flood);
    assert_eq!(
        refused,
        Err(FrameError::Malformed("more than the stream's window"))
    );
}

#[test]
fn more_streams_than_may_be_open_are_malformed() {
    let mut acceptor = Streams::new(false, 2);
    let mut bytes = BytesMut::from(&b"\x01\x00\x01a\x02\x00\x01a"[..]);
    feed(&mut acceptor, &mut bytes).unwrap();
    let mut third = BytesMut::from(&b"\x03\x00\x01a"[..]);
    assert_eq!(
        feed(&mut acceptor, &mut third),
        Err(FrameError::Malformed("number of streams"))
    );
    // A reset frees a place, and what nobody had accepted is forgotten.
    let mut acceptor = Streams::new(false, 2);
    for id in 1..100u8 {
        let mut bytes = BytesMut::from(&[id, 0, 1, 7, id, 2, 0][..]);
        feed(&mut acceptor, &mut bytes).unwrap();
    }
    assert!(acceptor.accept().is_none() && acceptor.streams.is_empty() && acceptor.open == 0);
    // Nobody opens a stream at who dialed.
    let mut bytes = BytesMut::from(&b"\x01\x00\x01a"[..]);
    assert!(feed(&mut Streams::new(true, 2), &mut bytes).is_err());
}

#[test]
fn a_reset_ends_both_halves_at_once_and_nothing_of_it_is_kept() {
    let mut ends = Ends::new(4);
    let id = ends.open();
    ends.dialer.send(id, [body(1 << 20, id), Bytes::new()]).unwrap();
    ends.exchange();
    assert_eq!(ends.acceptor.accept(), Some(id));
    ends.dialer.reset(id);
    ends.dialer.let_go(id);
    ends.dialer.let_go(id);
    assert_eq!((ends.dialer.queued, ends.dialer.open), (0, 0));
    while ends.exchange() {}
    assert_eq!(read(&mut ends.acceptor, id), Poll::Ready(Err(Gone::Reset)));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(ends.acceptor.poll_stopped(id, cx).is_ready());
    let late = ends.acceptor.send(id, [body(9, id), Bytes::new()]);
    assert_eq!(late, Err(Gone::Reset));
    ends.acceptor.let_go(id);
    ends.acceptor.let_go(id);
    assert!(ends.acceptor.streams.is_empty() && ends.dialer.streams.is_empty());
    assert_eq!(ends.acceptor.room + ends.acceptor.eaten, LANE_WINDOW_BYTES);
    assert_eq!(ends.slots.available_permits(), 4);
}

#[test]
fn a_stream_that_had_not_begun_is_told_from_one_that_had() {
    let mut ends = Ends::new(4);
    let (begun, waiting) = (ends.open(), ends.open());
    ends.dialer.send(begun, [body(9, begun), Bytes::new()]).unwrap();
    ends.exchange();
    ends.dialer
        .send(waiting, [body(9, waiting), Bytes::new()])
        .unwrap();
    ends.dialer.lose("cut");
    let unsent = |gone| matches!(gone, Poll::Ready(Err(Gone::Lost { unsent: true, .. })));
    assert!(unsent(read(&mut ends.dialer, waiting)));
    let gone = read(&mut ends.dialer, begun);
    assert!(
        matches!(gone, Poll::Ready(Err(Gone::Lost { unsent: false, .. }))),
        "{gone:?}"
    );
}
