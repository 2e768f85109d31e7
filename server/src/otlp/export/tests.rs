//! Where spans may be sent to.

use super::*;

#[test]
fn endpoints_are_plain_http_and_get_the_path_of_traces() {
    for (text, expected) in [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("http://127.0.0.1:9/otlp", "http://127.0.0.1:9/otlp/v1/traces"),
        ("http://127.0.0.1:9/v1/traces", "http://127.0.0.1:9/v1/traces"),
    ] {
        assert_eq!(
            endpoint(text).map(|uri| uri.to_string()).as_deref(),
            Ok(expected),
            "{text}"
        );
    }
    for bad in [
        "",
        "127.0.0.1:4318",
        "https://127.0.0.1:4318",
        "grpc://127.0.0.1:4317",
        "http://",
    ] {
        assert!(endpoint(bad).is_err(), "{bad}");
    }
}

#[test]
fn refused_spans_are_read_of_an_answer() {
    assert_eq!(rejected(&super::super::answer(3, "why", Encoding::Protobuf)), 3);
    assert_eq!(rejected(b""), 0);
    assert_eq!(rejected(b"\xff\xff"), 0);
}
