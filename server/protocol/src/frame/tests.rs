//! Golden bytes, round trips, and what foreign bytes may not do.
//!
//! The golden bytes may change only together with [`VERSION`] and an entry in its history: a node of the other
//! version reads them.

#![expect(clippy::indexing_slicing, reason = "tests cut bytes where they like")]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::call::REMAINING_MAX;
use super::*;
use crate::control::{Control, NodeRoute, Papers, Routes};
use crate::error::{CallError, ErrorCode};
use crate::name::{FunctionPath, HandlerName, InterfaceName, NodeName, TypeHash};
use crate::span::CalleeStages;
use crate::trace::{SpanId, TraceContext, TraceId};

const TRACE: TraceContext = TraceContext {
    trace_id: TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
    span_id: SpanId(0x00f0_67aa_0ba9_02b7),
    sampled: true,
};

const CALL: CallHead = CallHead {
    stages: true,
    caller: 3,
    function: 300,
    remaining: Duration::from_millis(5_000),
    hop: 2,
    trace: TRACE,
    len: 200,
};

const STAGES: CalleeStages = CalleeStages {
    total: 1_000,
    decode: 100,
    wait: 1,
    run: 800,
    outgoing: 0,
    encode: 99,
};

fn exported(handler: &str, function: &str) -> Exported {
    Exported {
        handler: HandlerName::parse(handler).unwrap(),
        function: FunctionPath::new(InterfaceName::parse("shop:cart/cart@0.1.0").unwrap(), function),
        type_hash: TypeHash([7; 16]),
    }
}

fn bytes_of(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_call() {
    let bytes = bytes_of(|out| encode_call(&CALL, out));
    assert_eq!(
        hex(&bytes),
        "0103ac02c096b10202004bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b701c801"
    );
    assert_eq!(decode_call(&bytes), Ok(Some((CALL, bytes.len()))));
}

#[test]
fn golden_replies() {
    let plain = ReplyHead {
        status: Status::Err,
        stages: None,
        len: 5,
    };
    let bytes = bytes_of(|out| encode_reply(&plain, out));
    assert_eq!(hex(&bytes), "0105");
    assert_eq!(decode_reply(&bytes, false), Ok(Some((plain, 2))));

    let staged = ReplyHead {
        status: Status::Ok,
        stages: Some(STAGES),
        len: 0,
    };
    let bytes = bytes_of(|out| encode_reply(&staged, out));
    assert_eq!(hex(&bytes), "00e8076401a006006300");
    assert_eq!(decode_reply(&bytes, true), Ok(Some((staged, bytes.len()))));
}

#[test]
fn golden_errors() {
    let error = CallError::new(ErrorCode::Trapped, "oh").with_detail("at x");
    let bytes = bytes_of(|out| encode_error(&error, out));
    assert_eq!(hex(&bytes), "04026f68010461742078");
    assert_eq!(decode_error(&bytes), Ok(error));
    let error = CallError::new(ErrorCode::NotFound, "");
    let bytes = bytes_of(|out| encode_error(&error, out));
    assert_eq!(hex(&bytes), "010000");
    assert_eq!(decode_error(&bytes), Ok(error));
}

#[test]
fn golden_tables() {
    let entries = [exported("cart", "add")];
    let bytes = bytes_of(|out| assert_eq!(encode_exports(4, &entries, out), 1));
    assert_eq!(
        hex(&bytes),
        "0401046361727414\
         73686f703a636172742f6361727440302e312e30\
         0361646407070707070707070707070707070707"
    );
    let frame = decode_exports(&bytes).unwrap();
    assert_eq!((frame.first, frame.entries), (4, entries.to_vec()));

    let callers = [HandlerName::ingress(), HandlerName::cli()];
    let bytes = bytes_of(|out| assert_eq!(encode_callers(0, &callers, out), 2));
    assert_eq!(hex(&bytes), "000207696e677265737303636c69");
    assert_eq!(decode_callers(&bytes).unwrap().entries, callers);
}

#[test]
fn golden_lane() {
    for (head, golden) in [
        ((1, LaneKind::Data, 0), "010000"),
        ((300, LaneKind::Fin, 200), "ac0201c801"),
        ((u64::from(u32::MAX), LaneKind::Reset, 0), "ffffffff0f0200"),
        ((2, LaneKind::Data, LANE_CHUNK_BYTES_MAX), "0200808004"),
    ] {
        let (stream, kind, len) = head;
        let head = LaneHead { stream, kind, len };
        let bytes = bytes_of(|out| encode_lane(&head, out));
        assert_eq!(hex(&bytes), golden);
        assert_eq!(decode_lane(&bytes), Ok(Some((head, bytes.len()))));
        for end in 0..bytes.len() {
            assert_eq!(decode_lane(&bytes[..end]), Ok(None));
        }
    }
    let window = bytes_of(|out| encode_window(0, 300, out));
    assert_eq!(hex(&window), "000302ac02");
    assert_eq!(decode_window(&window[3..]), Ok(300));
    let hello = bytes_of(|out| encode_lane_hello(2, &[7; LANE_TOKEN_BYTES], out));
    assert_eq!(hex(&hello), format!("02{}", "07".repeat(32)));
    assert_eq!(
        decode_lane_hello(&hello),
        Ok(Some((2, [7; LANE_TOKEN_BYTES], 33)))
    );
    assert_eq!(decode_lane_hello(&hello[..32]), Ok(None));
}

#[test]
fn a_lane_s_frames_have_their_limits() {
    for malformed in [
        "000000",
        "000100",
        "010400",
        "01020101",
        "0100818004",
        "01030bffffffffffffffffffffff",
        "8000",
    ] {
        let bytes: Vec<u8> = malformed
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        assert!(decode_lane(&bytes).is_err(), "{malformed}");
    }
}

#[test]
fn golden_control() {
    let hello = Hello {
        version: VERSION as u32,
        incarnation: 300,
        tcp_port: 4_000,
        uds_path: "/run/a.sock".to_owned(),
    };
    let bytes = bytes_of(|out| encode_hello(&hello, out));
    assert_eq!(hex(&bytes), "011102ac02a01f0b2f72756e2f612e736f636b");
    assert_eq!(decode_hello(&bytes[2..]), Ok(hello));
    assert_eq!(hex(&bytes_of(|out| encode_mark(Kind::Drain, &[], out))), "0700");
    assert_eq!(hex(&bytes_of(|out| encode_mark(Kind::Retire, &[], out))), "0900");
    assert_eq!(hex(&bytes_of(|out| encode_number(Kind::Sync, 9, out))), "050109");
    let down = Control::PeerDown {
        node: NodeName::parse("cart").unwrap(),
        incarnation: 2,
    };
    let bytes = encode_control(&down).unwrap();
    assert_eq!(hex(&bytes), "040702046361727402");
    let envelope = Envelope {
        kind: Kind::Control,
        len: 7,
    };
    assert_eq!(decode_envelope(&bytes), Ok(Some((envelope, 2))));
    assert_eq!(decode_control(&bytes[2..]), Ok(down));
}

#[test]
fn every_control_message_comes_back() {
    let node = NodeRoute {
        name: NodeName::home(),
        address: "127.0.0.1:7000".parse().unwrap(),
        incarnation: 1,
    };
    let routes = Routes {
        generation: 7,
        placement: "apart".into(),
        nodes: vec![node],
        ..Routes::default()
    };
    for control in [
        Control::Routes(Box::new(routes)),
        Control::Ready {
            generation: 7,
            failed: vec![(HandlerName::cli(), "why".into())],
        },
        Control::Spans(Vec::new()),
        Control::Figures(Box::default()),
        Control::Drain,
        Control::Papers(Box::new(Papers {
            authority_pem: "authority".into(),
            certificate_pem: "certificate".into(),
            key_pem: "key".into(),
        })),
    ] {
        let bytes = encode_control(&control).unwrap();
        let (envelope, head) = decode_envelope(&bytes).unwrap().unwrap();
        assert_eq!(head + envelope.len, bytes.len());
        assert_eq!(decode_control(&bytes[head..]), Ok(control));
        for end in head..bytes.len() {
            assert!(decode_control(&bytes[head..end]).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn bodies_above_their_limit_are_refused_by_their_head() {
    let call = CallHead {
        len: BODY_BYTES_MAX + 1,
        ..CALL
    };
    let too_long = FrameError::TooLong {
        bytes: BODY_BYTES_MAX as u64 + 1,
        bytes_max: BODY_BYTES_MAX,
    };
    assert_eq!(
        decode_call(&bytes_of(|out| encode_call(&call, out))),
        Err(too_long.clone())
    );
    let reply = ReplyHead {
        status: Status::Ok,
        stages: None,
        len: BODY_BYTES_MAX + 1,
    };
    let bytes = bytes_of(|out| encode_reply(&reply, out));
    assert_eq!(decode_reply(&bytes, false), Err(too_long));
    for kind in 1..=8u8 {
        let bytes = [kind, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(matches!(decode_envelope(&bytes), Err(FrameError::TooLong { .. })));
    }
}

#[test]
fn numbers_have_one_form() {
    // 0 in two bytes, and a caller of 33 bits.
    for bad in [
        &[0u8, 0x80, 0x00][..],
        &[0, 0xff, 0xff, 0xff, 0xff, 0x1f],
        &[0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
    ] {
        assert_eq!(decode_call(bad), Err(FrameError::Number), "{bad:?}");
    }
    assert!(matches!(decode_call(&[2]), Err(FrameError::Unknown { .. })));
}

#[test]
fn remaining_time_is_capped() {
    let call = CallHead {
        remaining: Duration::MAX,
        ..CALL
    };
    let bytes = bytes_of(|out| encode_call(&call, out));
    let (read, _) = decode_call(&bytes).unwrap().unwrap();
    assert_eq!(read.remaining, REMAINING_MAX);
}

#[test]
fn a_table_only_goes_on_where_it_ended() {
    let mut table = vec![1, 2];
    let frame = |first, entries: Vec<i32>| TableFrame { first, entries };
    assert_eq!(frame(2, vec![3]).append_to(&mut table), Ok(()));
    assert_eq!(table, [1, 2, 3]);
    for first in [0, 2, 4] {
        let gap = FrameError::Gap { first, len: 3 };
        assert_eq!(frame(first, vec![9]).append_to(&mut table), Err(gap));
    }
    let many = vec![0; TABLE_ENTRIES_MAX];
    assert!(frame(3, many).append_to(&mut table).is_err());
    assert_eq!(table.len(), 3);
}

#[test]
fn a_long_table_takes_several_frames_within_their_limit() {
    let long = "f".repeat(255);
    let entries: Vec<Exported> = (0..2_000).map(|_| exported("cart", &long)).collect();
    let mut table = Vec::new();
    while table.len() < entries.len() {
        let bytes = bytes_of(|out| {
            encode_exports(table.len() as u32, &entries[table.len()..], out);
        });
        assert!(bytes.len() <= TABLE_BYTES_MAX);
        decode_exports(&bytes).unwrap().append_to(&mut table).unwrap();
    }
    assert_eq!(table, entries);
}

#[test]
fn a_body_holds_what_came_and_no_more() {
    let mut body = Body::new(BODY_BYTES_MAX);
    assert_eq!(body.received(), 0);
    body.push(Bytes::from_static(b"ab")).unwrap();
    assert_eq!(body.received(), 2);
    assert_eq!(body.finish(), Err(FrameError::CutShort));
    let mut body = Body::new(3);
    for part in [&b"ab"[..], b"", b"c"] {
        body.push(Bytes::from_static(part)).unwrap();
    }
    assert_eq!(body.push(Bytes::from_static(b"d")), Err(FrameError::Trailing));
    assert_eq!(body.finish().unwrap(), "abc");
}

prop_compose! {
    fn any_call()(
        stages: bool, caller: u32, function: u32, us in 0u64..86_400_000_000, hop: u8, sampled: bool,
        trace_id in 1u128.., span_id in 1u64.., len in 0..=BODY_BYTES_MAX,
    ) -> CallHead {
        let trace = TraceContext { trace_id: TraceId(trace_id), span_id: SpanId(span_id), sampled };
        CallHead { stages, caller, function, remaining: Duration::from_micros(us), hop, trace, len }
    }
}

prop_compose! {
    fn any_reply()(status in 0u8..3, stages: bool, ns: [u64; 6], len in 0..=BODY_BYTES_MAX) -> ReplyHead {
        let [total, decode, wait, run, outgoing, encode] = ns;
        let status = [Status::Ok, Status::Err, Status::Failed][status as usize];
        let stages = stages.then_some(CalleeStages { total, decode, wait, run, outgoing, encode });
        ReplyHead { status, stages, len }
    }
}

proptest! {
    #[test]
    fn calls_round_trip_and_every_cut_asks_for_more(call in any_call(), tail: Vec<u8>) {
        let mut bytes = bytes_of(|out| encode_call(&call, out));
        prop_assert!(bytes.len() <= CALL_HEAD_BYTES_MAX);
        for end in 0..bytes.len() {
            prop_assert_eq!(decode_call(&bytes[..end]), Ok(None));
        }
        let head = bytes.len();
        bytes.extend(tail);
        prop_assert_eq!(decode_call(&bytes), Ok(Some((call, head))));
    }

    #[test]
    fn replies_round_trip_and_every_cut_asks_for_more(reply in any_reply()) {
        let bytes = bytes_of(|out| encode_reply(&reply, out));
        prop_assert!(bytes.len() <= REPLY_HEAD_BYTES_MAX);
        let stages = reply.stages.is_some();
        for end in 0..bytes.len() {
            prop_assert_eq!(decode_reply(&bytes[..end], stages), Ok(None));
        }
        prop_assert_eq!(decode_reply(&bytes, stages), Ok(Some((reply, bytes.len()))));
    }

    #[test]
    fn errors_round_trip_and_every_cut_is_refused(number in 1u16..10, message: String, detail: Option<String>) {
        let mut error = CallError::new(ErrorCode::from_number(number), message);
        if let Some(detail) = detail {
            error = error.with_detail(detail);
        }
        let bytes = bytes_of(|out| encode_error(&error, out));
        for end in 0..bytes.len() {
            prop_assert_eq!(decode_error(&bytes[..end]), Err(FrameError::CutShort));
        }
        prop_assert_eq!(decode_error(&bytes), Ok(error));
    }

    #[test]
    fn tables_refuse_every_cut(functions in prop::collection::vec("[a-z]{1,20}", 0..5), first: u32) {
        let entries: Vec<Exported> = functions.iter().map(|name| exported("cart", name)).collect();
        let bytes = bytes_of(|out| { encode_exports(first, &entries, out); });
        for end in 0..bytes.len() {
            prop_assert!(decode_exports(&bytes[..end]).is_err());
        }
        prop_assert_eq!(decode_exports(&bytes), Ok(TableFrame { first, entries }));
    }

    #[test]
    fn foreign_bytes_never_panic_and_what_they_say_is_within_its_limits(bytes: Vec<u8>, stages: bool) {
        if let Ok(Some((call, head))) = decode_call(&bytes) {
            prop_assert!(head <= bytes.len() && call.len <= BODY_BYTES_MAX && call.remaining <= REMAINING_MAX);
        } else if bytes.len() >= CALL_HEAD_BYTES_MAX {
            prop_assert!(decode_call(&bytes).is_err());
        }
        if let Ok(Some((reply, head))) = decode_reply(&bytes, stages) {
            prop_assert!(head <= bytes.len() && reply.len <= BODY_BYTES_MAX);
        } else if bytes.len() >= REPLY_HEAD_BYTES_MAX {
            prop_assert!(decode_reply(&bytes, stages).is_err());
        }
        if let Ok(table) = decode_exports(&bytes) {
            prop_assert!(table.entries.len() * 20 <= bytes.len());
        }
        if let Ok(Some((lane, head))) = decode_lane(&bytes) {
            prop_assert!(head <= LANE_HEAD_BYTES_MAX && lane.len <= LANE_CHUNK_BYTES_MAX);
        } else if bytes.len() >= LANE_HEAD_BYTES_MAX {
            prop_assert!(decode_lane(&bytes).is_err());
        }
        let _ = (decode_window(&bytes), decode_lane_hello(&bytes));
        let _ = (decode_error(&bytes), decode_callers(&bytes), decode_hello(&bytes));
        let _ = (decode_control(&bytes), decode_envelope(&bytes), decode_number(&bytes));
    }

    #[test]
    fn bodies_join_whatever_the_pieces(parts in prop::collection::vec(any::<Vec<u8>>(), 0..6)) {
        let whole = parts.concat();
        let mut body = Body::new(whole.len());
        for part in parts {
            body.push(part.into()).unwrap();
        }
        prop_assert_eq!(body.finish().unwrap(), whole);
    }
}
