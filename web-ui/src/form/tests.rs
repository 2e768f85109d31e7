//! Drafts, faults and where they are.

use super::*;
use crate::shape::{self, tests::shop};

fn params() -> Vec<Part> {
    let all = shop();
    let mut params = shape::params(&all, &all[0], &all[0].functions[0]);
    // What cannot be written has a test of its own.
    assert_eq!(params.pop().unwrap().name, "handle");
    params
}

fn faults(pointer: &str, value: Value) -> Vec<(String, String)> {
    let params = params();
    let mut draft = initial_parts(&params);
    put(&mut draft, pointer, value);
    let found = check(&params, &draft).into_iter();
    found.map(|fault| (fault.pointer, fault.message)).collect()
}

#[test]
fn what_a_form_begins_with_can_be_sent() {
    let params = params();
    let draft = initial_parts(&params);
    assert_eq!(check(&params, &draft), []);
    assert_eq!(draft["amount"], json!({ "currency": "", "units": 0 }));
    assert_eq!(draft["how"], json!("lost"));
    assert_eq!(draft["outcome"], json!({ "ok": null }));
    assert_eq!(draft["maybe"], Value::Null);
    assert_eq!(
        some(&Shape::Option(Box::new(Shape::Bool))),
        json!({ "some": null })
    );
}

#[test]
fn each_fault_is_told_at_its_field() {
    for (pointer, value, at, words) in [
        (
            "/amount/units",
            json!("many"),
            "/amount/units",
            "whole number from -9223372036854775808",
        ),
        (
            "/amount/units",
            json!("9223372036854775808"),
            "/amount/units",
            "whole number",
        ),
        ("/amount", json!([]), "/amount", "an object"),
        ("/amount", json!({ "units": 1 }), "/amount/currency", "missing"),
        (
            "/amount",
            json!({ "units": 1, "currency": "", "x/y": 1 }),
            "/amount/x~1y",
            "not known",
        ),
        ("/notes", json!(["a", null, 7]), "/notes/2", "a text"),
        ("/how", json!({ "late": -1 }), "/how/late", "from 0 to 4294967295"),
        ("/how", json!("late"), "/how", "carries a value"),
        ("/how", json!({ "lost": 1 }), "/how", "carries nothing"),
        ("/how", json!("gone"), "/how", "choose a case: lost, late"),
        ("/wear", json!(["bent", "new"]), "/wear", "bent, worn"),
        ("/side", json!("edge"), "/side", "heads, tails"),
        ("/raw", json!({ "base64": "a" }), "/raw", "base64"),
        ("/raw", json!([256]), "/raw", "0 to 255"),
        ("/pair", json!([1]), "/pair", "a list of 2"),
        ("/pair", json!([1, "ab"]), "/pair/1", "one character"),
        ("/maybe", json!(true), "/maybe", "{\"some\": …}"),
        ("/maybe", json!({ "some": 3 }), "/maybe/some", "true or false"),
        (
            "/outcome",
            json!({ "err": "gone" }),
            "/outcome/err",
            "choose a case",
        ),
        ("/outcome", json!({ "ok": 1 }), "/outcome", "carries nothing"),
        ("/outcome", json!(null), "/outcome", "{\"ok\": …}"),
    ] {
        let found = faults(pointer, value.clone());
        let [(pointer, message)] = found.as_slice() else {
            panic!("{value}: {found:?}");
        };
        assert_eq!(pointer, at, "{value}");
        assert!(message.contains(words), "{value}: {message}");
    }
}

#[test]
fn what_fits_has_no_fault() {
    for (pointer, value) in [
        ("/amount/units", json!("-9223372036854775808")),
        ("/notes", json!(["a", null])),
        ("/how", json!({ "late": 7 })),
        ("/wear", json!(["worn", "bent"])),
        ("/raw", json!([0, 255])),
        ("/raw", json!({ "base64": "AP8=" })),
        ("/pair", json!([255, "ß"])),
        ("/maybe", json!({ "some": null })),
        ("/maybe", json!({ "some": true })),
        ("/outcome", json!({ "err": "lost" })),
    ] {
        assert_eq!(faults(pointer, value.clone()), [], "{pointer} {value}");
    }
}

#[test]
fn what_cannot_be_written_says_so() {
    let part = Part {
        name: "handle".to_owned(),
        docs: None,
        shape: Some(Shape::Opaque("a resource".to_owned())),
    };
    let parts = [part];
    let found = check(&parts, &initial_parts(&parts));
    assert_eq!(found[0].message, "a resource cannot be written by hand");
}

#[test]
fn numbers_are_numbers_as_soon_as_they_are() {
    let (u8, u64) = (
        Shape::Whole {
            signed: false,
            bits: 8,
        },
        Shape::Whole {
            signed: false,
            bits: 64,
        },
    );
    let s64 = Shape::Whole {
        signed: true,
        bits: 64,
    };
    assert_eq!(number(&u8, " 7 "), json!(7));
    assert_eq!(number(&u8, "256"), json!("256"));
    assert_eq!(number(&u8, "-"), json!("-"));
    assert_eq!(number(&u8, ""), json!(""));
    assert_eq!(
        number(&u64, "18446744073709551615"),
        json!("18446744073709551615")
    );
    assert_eq!(number(&u64, "9007199254740992"), json!(9_007_199_254_740_992_u64));
    assert_eq!(number(&s64, "-5"), json!(-5));
    assert_eq!(number(&Shape::Float, "1.5"), json!(1.5));
    assert_eq!(number(&Shape::Float, "NaN"), json!("NaN"));
    assert_eq!(typed(&json!("NaN")), "NaN");
    assert_eq!(typed(&json!(1.5)), "1.5");
}

#[test]
fn base64_is_undone_by_its_reading() {
    for (bytes, text) in [
        (b"".as_slice(), ""),
        (b"f", "Zg=="),
        (b"fo", "Zm8="),
        (b"foo", "Zm9v"),
        (&[0, 255, 62, 63], "AP8+Pw=="),
    ] {
        assert_eq!(encode(bytes), text);
        assert_eq!(decode(text).as_deref(), Some(bytes));
    }
    for bad in ["Zg", "Zg=", "Z===", "Zh==", "====", "Z g=", "ä==="] {
        assert_eq!(decode(bad), None, "{bad}");
    }
}
