//! Every shape of the mapping there and back, and what is told when JSON does not fit.

use serde_json::json;

use super::*;
use crate::runtime::wit_type::WitType as T;

fn function(ty: T) -> FunctionType {
    FunctionType {
        params: vec![("x".into(), ty.clone())],
        result: Some(ty),
        is_async: false,
    }
}

fn round_trip(ty: T, given: Value, expected: Value) {
    let ty = function(ty);
    let bytes = encode_arguments(&ty, &json!([given])).unwrap();
    assert_eq!(decode_result(&ty, &bytes).unwrap(), expected);
    assert_eq!(decode_arguments(&ty, &bytes).unwrap(), json!({ "x": expected }));
}

fn same(ty: T, json: Value) {
    round_trip(ty, json.clone(), json);
}

fn refused(ty: T, json: Value) -> JsonError {
    encode_arguments(&function(ty), &json!([json])).unwrap_err()
}

fn boxed(ty: T) -> Box<T> {
    Box::new(ty)
}

#[test]
fn every_type_round_trips() {
    same(T::Bool, json!(true));
    same(T::U8, json!(255));
    same(T::S8, json!(-128));
    same(T::U16, json!(65_535));
    same(T::S16, json!(-32_768));
    same(T::U32, json!(u32::MAX));
    same(T::S32, json!(i32::MIN));
    same(T::U64, json!(9_007_199_254_740_992_u64));
    same(T::U64, json!("18446744073709551615"));
    same(T::S64, json!("-9223372036854775808"));
    same(T::F32, json!(0.1));
    same(T::F64, json!(-1.5e300));
    same(T::F64, json!("NaN"));
    same(T::F32, json!("-Infinity"));
    same(T::Char, json!("ß"));
    same(T::String, json!("héllo"));
    round_trip(
        T::List(boxed(T::U8)),
        json!([1, 2, 3]),
        json!({ "base64": "AQID" }),
    );
    same(T::List(boxed(T::String)), json!(["a", "b"]));
    same(T::Tuple(vec![T::U8, T::Bool]), json!([1, false]));
    same(
        T::Record(vec![("a".into(), T::U8), ("b".into(), T::String)]),
        json!({ "a": 1, "b": "x" }),
    );
    let variant = T::Variant(vec![("none".into(), None), ("some-text".into(), Some(T::String))]);
    same(variant.clone(), json!("none"));
    same(variant, json!({ "some-text": "x" }));
    same(T::Enum(vec!["red".into(), "blue".into()]), json!("blue"));
    same(T::Option(boxed(T::U8)), json!(null));
    same(T::Option(boxed(T::U8)), json!(7));
    same(T::Option(boxed(T::Option(boxed(T::U8)))), json!({ "some": null }));
    same(T::Result(Some(boxed(T::U8)), None), json!({ "ok": 1 }));
    same(T::Result(Some(boxed(T::U8)), None), json!({ "err": null }));
    same(
        T::Flags((0..10).map(|i| format!("f{i}")).collect()),
        json!(["f0", "f9"]),
    );
}

#[test]
fn arguments_come_by_position_by_name_or_alone() {
    let ty = FunctionType {
        params: vec![
            ("id".into(), T::String),
            ("limit".into(), T::Option(boxed(T::U32))),
        ],
        result: None,
        is_async: false,
    };
    let by_position = encode_arguments(&ty, &json!(["a", null])).unwrap();
    assert_eq!(encode_arguments(&ty, &json!({ "id": "a" })).unwrap(), by_position);
    assert!(
        encode_arguments(&ty, &json!(["a"]))
            .unwrap_err()
            .message
            .contains("expected 2 arguments")
    );
    assert_eq!(decode_result(&ty, &[]).unwrap(), json!(null));
    let one = function(T::String);
    assert_eq!(
        encode_arguments(&one, &json!("a")).unwrap(),
        encode_arguments(&one, &json!(["a"])).unwrap()
    );
}

#[test]
fn errors_point_at_the_place() {
    let ty = T::Record(vec![("items".into(), T::List(boxed(T::U8)))]);
    let error = refused(ty.clone(), json!({ "items": [1, 2, 300] }));
    assert_eq!(error.pointer, "/0/items/2");
    assert!(error.message.contains("expected u8, found 300"), "{error}");
    assert!(
        refused(ty.clone(), json!({}))
            .message
            .contains("`items` is missing")
    );
    for (json, pointer, says) in [
        (json!({ "itemz": [] }), "/0/itemz", "did you mean `items`?"),
        (json!({ "items": [], "a/b": 1 }), "/0/a~1b", "known are items"),
        (json!({ "items": [], "itemz": [] }), "/0/itemz", "known are items"),
    ] {
        let error = refused(ty.clone(), json);
        assert_eq!(error.pointer, pointer, "{error}");
        assert!(
            error.message.contains("is not known") && error.message.contains(says),
            "{error}"
        );
    }
    assert!(
        refused(T::Enum(vec!["red".into()]), json!("green"))
            .message
            .contains("one of red")
    );
    assert!(refused(T::S8, json!(128)).message.contains("expected s8"));
    assert!(refused(T::U64, json!(-1)).message.contains("expected u64"));
    assert!(refused(T::Char, json!("ab")).message.contains("one character"));
}

#[test]
fn foreign_bytes_are_refused_and_never_allocate_for_nothing() {
    let ty = function(T::List(boxed(T::String)));
    assert!(decode_result(&ty, &[0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
    assert!(decode_result(&ty, &[1, 1, 0xff]).is_err());
    assert!(decode_result(&function(T::Bool), &[0, 0]).is_err());
    assert!(decode_result(&function(T::Flags(vec!["a".into()])), &[2]).is_err());
}
