//! Guests from text: the smallest components that do what a test needs.

use std::fmt::Write as _;

/// A function's parameter and result; its core function does nothing of interest.
pub(in crate::runtime) const NARROW: &str = r#"(param "x" u32) (result u32)"#;
/// The same with another type.
pub(in crate::runtime) const WIDE: &str = r#"(param "x" u64) (result u32)"#;

/// A component that imports and exports functions `f` of the given types, by interface.
pub(in crate::runtime) fn component(imports: &[(&str, &str)], exports: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::from("(component ");
    for (interface, signature) in imports {
        let _ = write!(
            text,
            r#"(import "{interface}" (instance (export "f" (func {signature}))))"#
        );
    }
    for (index, (interface, signature)) in exports.iter().enumerate() {
        let core = if *signature == WIDE { "i64" } else { "i32" };
        let _ = write!(
            text,
            r#"(core module $m{index} (func (export "f") (param {core}) (result i32) i32.const 7))
            (core instance $c{index} (instantiate $m{index}))
            (func $f{index} {signature} (canon lift (core func $c{index} "f")))
            (instance $i{index} (export "f" (func $f{index})))
            (export "{interface}" (instance $i{index}))"#
        );
    }
    text.push(')');
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// `test:math/math@0.1.0`: a guest that works, traps, spins, grows and says `err`, each when asked.
pub(in crate::runtime) fn math() -> Vec<u8> {
    let text = r#"(component
        (core module $m (memory 1)
            (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
            (func (export "trap") (param i32) (result i32) unreachable)
            (func (export "spin") (param i32) (result i32) (loop $again (br $again)) unreachable)
            (func (export "grow") (param i32) (result i32)
                (if (i32.eq (memory.grow (local.get 0)) (i32.const -1)) (then unreachable)) (memory.size))
            (func (export "try-grow") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "check") (param i32) (result i32) (i32.ne (local.get 0) (i32.const 0))))
        (core instance $c (instantiate $m))
        (func $double (param "x" u32) (result u32) (canon lift (core func $c "double")))
        (func $trap (param "x" u32) (result u32) (canon lift (core func $c "trap")))
        (func $spin (param "x" u32) (result u32) (canon lift (core func $c "spin")))
        (func $grow (param "x" u32) (result u32) (canon lift (core func $c "grow")))
        (func $try-grow (param "x" u32) (result u32) (canon lift (core func $c "try-grow")))
        (func $check (param "x" u32) (result (result)) (canon lift (core func $c "check")))
        (instance $i (export "double" (func $double)) (export "trap" (func $trap)) (export "spin" (func $spin))
            (export "grow" (func $grow)) (export "try-grow" (func $try-grow)) (export "check" (func $check)))
        (export "test:math/math@0.1.0" (instance $i)))"#;
    wat::parse_str(text).unwrap()
}

/// `test:front/front@0.1.0`: `ask` calls `test:math/math.double`, which has no way to report a failed call.
pub(super) fn front() -> Vec<u8> {
    let text = r#"(component
        (import "test:math/math@0.1.0" (instance $math
            (export "double" (func (param "x" u32) (result u32)))))
        (core func $double (canon lower (func $math "double")))
        (core module $m (import "" "double" (func $double (param i32) (result i32)))
            (func (export "ask") (param i32) (result i32) (call $double (local.get 0))))
        (core instance $c (instantiate $m (with "" (instance (export "double" (func $double))))))
        (func $ask (param "x" u32) (result u32) (canon lift (core func $c "ask")))
        (instance $i (export "ask" (func $ask)))
        (export "test:front/front@0.1.0" (instance $i)))"#;
    wat::parse_str(text).unwrap()
}

/// `test:math/math@0.1.0`: `double` calls `test:front/front.ask`, so that `front` and this one call each other.
pub(super) fn back() -> Vec<u8> {
    let text = r#"(component
        (import "test:front/front@0.1.0" (instance $front
            (export "ask" (func (param "x" u32) (result u32)))))
        (core func $ask (canon lower (func $front "ask")))
        (core module $m (import "" "ask" (func $ask (param i32) (result i32)))
            (func (export "double") (param i32) (result i32) (call $ask (local.get 0))))
        (core instance $c (instantiate $m (with "" (instance (export "ask" (func $ask))))))
        (func $double (param "x" u32) (result u32) (canon lift (core func $c "double")))
        (instance $i (export "double" (func $double)))
        (export "test:math/math@0.1.0" (instance $i)))"#;
    wat::parse_str(text).unwrap()
}

/// `test:shop/shop@0.1.0` with `get: func(x: u32) -> result<u32, fault>`, as an instance's type.
const SHOP: &str = r#"(import "test:shop/shop@0.1.0" (instance $shop
    (type $record (record (field "code" u16) (field "message" string) (field "retryable" bool)))
    (export "call-error" (type $error (eq $record)))
    (type $variant (variant (case "lost") (case "call-failed" $error)))
    (export "fault" (type $fault (eq $variant)))
    (export "get" (func (param "x" u32) (result (result u32 (error $fault)))))))"#;

/// `test:front/front@0.1.0`: `ask` calls `test:shop/shop.get` and gives its value, 1 for `lost`, or 1000 + the code of
/// `call-failed`.
pub(in crate::runtime) fn careful() -> Vec<u8> {
    let text = format!(
        r#"(component {SHOP}
        (core module $memory (memory (export "m") 1) (global $next (mut i32) (i32.const 4096))
            (func (export "r") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (global.get $next))
                (global.set $next (i32.add (local.get $at) (i32.and (i32.add (local.get 3) (i32.const 7))
                    (i32.const -8))))
                (local.get $at)))
        (core instance $memory (instantiate $memory))
        (core func $get (canon lower (func $shop "get") (memory (core memory $memory "m"))
            (realloc (core func $memory "r"))))
        (core module $m (import "" "get" (func $get (param i32 i32))) (import "" "m" (memory 1))
            (func (export "ask") (param i32) (result i32)
                (call $get (local.get 0) (i32.const 1024))
                (if (i32.eqz (i32.load8_u (i32.const 1024))) (then (return (i32.load (i32.const 1028)))))
                (if (i32.eqz (i32.load8_u (i32.const 1028))) (then (return (i32.const 1))))
                (i32.add (i32.const 1000) (i32.load16_u (i32.const 1032)))))
        (core instance $c (instantiate $m (with "" (instance
            (export "get" (func $get)) (export "m" (memory $memory "m"))))))
        (func $ask (param "x" u32) (result u32) (canon lift (core func $c "ask")))
        (instance $i (export "ask" (func $ask)))
        (export "test:front/front@0.1.0" (instance $i)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// An HTTP handler whose whole body is this instruction.
pub(super) fn http(instruction: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
        (import "wasi:http/types@0.2.0" (instance $types
            (export "incoming-request" (type (sub resource)))
            (export "response-outparam" (type (sub resource)))))
        (alias export $types "incoming-request" (type $request))
        (alias export $types "response-outparam" (type $out))
        (core module $m (func (export "handle") (param i32 i32) {instruction}))
        (core instance $c (instantiate $m))
        (func $handle (param "request" (own $request)) (param "response-out" (own $out))
            (canon lift (core func $c "handle")))
        (instance $i (export "handle" (func $handle)))
        (export "wasi:http/incoming-handler@0.2.0" (instance $i)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}
