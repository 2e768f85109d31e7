//! The targets of `fuzz`, with random bytes: small numbers and beginnings of real frames among them, so that decoders are
//! met further in than at their first byte.

#[path = "../fuzz/targets.rs"]
mod targets;

use bytes::BytesMut;
use proptest::prelude::*;
use protocol::frame::{self, Hello, Status};

/// A frame of ours, of which bytes are then changed.
fn frame_of(kind: u8) -> Vec<u8> {
    let mut out = BytesMut::new();
    match kind % 3 {
        0 => frame::encode_hello(
            &Hello {
                version: 1,
                incarnation: 7,
                tcp_port: 4_000,
                uds_path: "/run/a.sock".to_owned(),
            },
            &mut out,
        ),
        1 => frame::encode_reply(
            &frame::ReplyHead {
                status: Status::Ok,
                stages: None,
                len: 3,
            },
            &mut out,
        ),
        _ => frame::encode_mark(frame::Kind::Callers, &[0, 1, 3, b'w', b'e', b'b'], &mut out),
    };
    out.to_vec()
}

fn foreign() -> impl Strategy<Value = Vec<u8>> {
    let small = prop::collection::vec(prop_oneof![0_u8..8, any::<u8>()], 0..96);
    let changed = (any::<u8>(), small.clone(), any::<prop::sample::Index>()).prop_map(|(kind, more, at)| {
        let mut bytes = frame_of(kind);
        let at = at.index(bytes.len() + 1);
        bytes.splice(at.., more);
        bytes
    });
    prop_oneof![small, changed]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_decoder_of_values_is_broken_by_foreign_bytes(bytes in foreign()) {
        targets::values(&bytes);
    }

    #[test]
    fn no_decoder_of_frames_is_broken_by_foreign_bytes(bytes in foreign()) {
        targets::frames(&bytes);
    }

    #[test]
    fn no_beginning_of_a_connection_breaks_it(bytes in foreign()) {
        targets::preface(&bytes);
    }
}
