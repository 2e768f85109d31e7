//! What is fuzzed: bytes as a stranger may send them, into every decoder of a value, a frame or a connection's beginning.
//!
//! A decoder may refuse them; it must not panic, and what it accepts must be the same after it was written and read again.
//! `cargo fuzz run values|frames|preface` in `server/protocol` looks for bytes that break this, with a nightly compiler; the
//! test `foreign` gives the same functions random bytes in every run of the tests.

use bytes::{Bytes, BytesMut};
use protocol::builtin::{queue, state};
use protocol::exchange::{Request, Response};
use protocol::frame::{self, Kind};
use protocol::shape::{self, Shape};
use protocol::value::Reader;

/// Values: what the platform's own interfaces carry, and the search for a parameter among arguments.
pub fn values(bytes: &[u8]) {
    let whole = Bytes::copy_from_slice(bytes);
    if let Ok(request) = Request::decode(&whole) {
        assert_eq!(Request::decode(&request.encode()).as_ref(), Ok(&request));
    }
    if let Ok(response) = Response::decode(&whole) {
        assert_eq!(Response::decode(&response.encode()).as_ref(), Ok(&response));
    }
    for function in state::Function::ALL {
        if let Ok(request) = state::Request::decode(function, bytes) {
            assert_eq!(
                state::Request::decode(function, &request.encode()).as_ref(),
                Ok(&request)
            );
        }
        if let Ok(reply) = state::decode_reply(function, bytes) {
            assert_eq!(
                state::decode_reply(function, &state::encode_reply(&reply)).as_ref(),
                Ok(&reply)
            );
        }
    }
    if let Ok(reply) = queue::decode_reply(bytes) {
        assert_eq!(
            queue::decode_reply(&queue::encode_reply(&reply)).as_ref(),
            Ok(&reply)
        );
    }
    // The first bytes are a type, the others its value.
    if let Some((types, value)) = bytes.split_at_checked(bytes.len().min(8)) {
        let shape = shape_of(&mut types.iter(), shape::DEPTH_MAX);
        if let Some(found) = shape::find(value, &[], &shape) {
            assert!(
                value.starts_with(found),
                "a value is the beginning of what holds it"
            );
        }
        let mut numbers = Reader::new(value);
        while let Ok(number) = numbers.leb() {
            let mut again = BytesMut::new();
            protocol::value::put_leb(&mut again, number);
            assert_eq!(Reader::new(&again).leb(), Ok(number));
        }
    }
}

/// Frames of calls, replies and the control stream, behind a connection's beginning.
pub fn frames(bytes: &[u8]) {
    if let Ok(Some((head, taken))) = frame::decode_call(bytes) {
        assert!(taken <= bytes.len());
        let mut again = BytesMut::new();
        frame::encode_call(&head, &mut again);
        let (read, length) = frame::decode_call(&again).expect("our own frame").expect("whole");
        assert_eq!((read, length), (head, again.len()));
    }
    for staged in [false, true] {
        if let Ok(Some((head, taken))) = frame::decode_reply(bytes, staged) {
            assert!(taken <= bytes.len());
            let mut again = BytesMut::new();
            frame::encode_reply(&head, &mut again);
            let reread = frame::decode_reply(&again, staged).expect("our own frame");
            assert_eq!(reread, Some((head, again.len())));
        }
    }
    if let Ok(Some((head, taken))) = frame::decode_lane(bytes) {
        assert!(taken <= bytes.len() && head.len <= frame::LANE_CHUNK_BYTES_MAX);
        let mut again = BytesMut::new();
        frame::encode_lane(&head, &mut again);
        assert_eq!(frame::decode_lane(&again), Ok(Some((head, again.len()))));
        assert_eq!(taken, again.len(), "numbers are in their shortest form");
    }
    if let Ok(more) = frame::decode_window(bytes) {
        let mut again = BytesMut::new();
        frame::encode_window(0, more, &mut again);
        assert_eq!(&again[3..], bytes);
    }
    if let Ok(Some((version, token, taken))) = frame::decode_lane_hello(bytes) {
        let mut again = BytesMut::new();
        frame::encode_lane_hello(version, &token, &mut again);
        assert_eq!(again.as_ref(), &bytes[..taken]);
    }
    if let Ok(error) = frame::decode_error(bytes) {
        let mut again = BytesMut::new();
        frame::encode_error(&error, &mut again);
        assert_eq!(frame::decode_error(&again).as_ref(), Ok(&error));
    }
    let mut exports = Vec::new();
    if let Ok(table) = frame::decode_exports(bytes) {
        // One that does not continue the table is refused.
        let _ = table.append_to(&mut exports);
    }
    let mut callers = Vec::new();
    if let Ok(table) = frame::decode_callers(bytes) {
        let _ = table.append_to(&mut callers);
    }
    if let Ok(control) = frame::decode_control(bytes) {
        let again = frame::encode_control(&control).expect("what was read can be written");
        let (envelope, taken) = frame::decode_envelope(&again)
            .expect("our own frame")
            .expect("whole");
        assert_eq!(envelope.kind, Kind::Control);
        assert_eq!(frame::decode_control(&again[taken..]).as_ref(), Ok(&control));
    }
}

/// A connection's beginning: envelopes one after the other, the first of which should be a hello.
pub fn preface(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((envelope, taken))) = frame::decode_envelope(rest) {
        assert!(taken > 0 && taken <= rest.len(), "an envelope has bytes");
        let Some(body) = rest.get(taken..).and_then(|rest| rest.get(..envelope.len)) else {
            return;
        };
        match envelope.kind {
            Kind::Hello => {
                if let Ok(hello) = frame::decode_hello(body) {
                    let mut again = BytesMut::new();
                    frame::encode_hello(&hello, &mut again);
                    let (_, head) = frame::decode_envelope(&again)
                        .expect("our own frame")
                        .expect("whole");
                    assert_eq!(frame::decode_hello(&again[head..]), Ok(hello));
                }
            }
            Kind::Sync | Kind::Synced => drop(frame::decode_number(body)),
            _ => frames(body),
        }
        rest = &rest[taken + envelope.len..];
    }
}

fn shape_of(types: &mut std::slice::Iter<'_, u8>, depth: usize) -> Shape {
    let byte = types.next().copied().unwrap_or_default();
    if depth == 0 {
        return Shape::Leb;
    }
    match byte % 7 {
        0 => Shape::Fixed(u32::from(byte / 7)),
        1 => Shape::Leb,
        2 => Shape::Char,
        3 => Shape::Bytes,
        4 => Shape::List(Box::new(shape_of(types, depth - 1))),
        5 => Shape::Record(vec![shape_of(types, depth - 1), shape_of(types, depth - 1)]),
        _ => Shape::Choice(vec![None, Some(shape_of(types, depth - 1))]),
    }
}
