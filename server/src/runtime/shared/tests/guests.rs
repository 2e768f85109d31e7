//! Guests with async functions, from text.

/// `test:gate/gate@0.1.0`: async functions that work, wait for each other, trap, spin and grow, and `ask`, which calls the
/// `async func` `test:math/math.double`; `ask-plain` calls the plain `test:old/old.double`.
///
/// A waiting guest yields until another call of the same instance has opened the gate.
pub(super) fn gate() -> Vec<u8> {
    let names = [
        "double",
        "wait",
        "open",
        "trap",
        "spin",
        "grow",
        "haunt",
        "ask",
        "ask-plain",
    ];
    let lifted: String = names
        .iter()
        .map(|name| {
            format!(
                r#"(func ${name} (type $async) (canon lift (core func $c "{name}") async
                    (callback (core func $c "{}"))))"#,
                match *name {
                    "ask" => "asked",
                    "haunt" => "haunted",
                    _ => "again",
                }
            )
        })
        .collect();
    let exported: String = names
        .iter()
        .map(|name| format!(r#"(export "{name}" (func ${name}))"#))
        .collect();
    let text = format!(
        r#"(component
        (type $async (func async (param "x" u32) (result u32)))
        (import "test:math/math@0.1.0" (instance $math
            (export "double" (func async (param "x" u32) (result u32)))))
        (import "test:old/old@0.1.0" (instance $old (export "double" (func (param "x" u32) (result u32)))))
        (core module $memory (memory (export "m") 1))
        (core instance $memory (instantiate $memory))
        (core func $return (canon task.return (result u32)))
        (core func $get (canon context.get i32 0))
        (core func $set (canon context.set i32 0))
        (core func $set-new (canon waitable-set.new))
        (core func $join (canon waitable.join))
        (core func $drop (canon subtask.drop))
        (core func $math (canon lower (func $math "double") async (memory (core memory $memory "m"))))
        (core func $old (canon lower (func $old "double")))
        {CORE}
        (core instance $c (instantiate $m (with "" (instance
            (export "m" (memory $memory "m")) (export "return" (func $return)) (export "get" (func $get))
            (export "set" (func $set)) (export "set-new" (func $set-new)) (export "join" (func $join))
            (export "drop" (func $drop)) (export "math" (func $math)) (export "old" (func $old))))))
        {lifted}
        (instance $i {exported})
        (export "test:gate/gate@0.1.0" (instance $i)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What the gate's functions do.
const CORE: &str = r#"
        (core module $m
            (import "" "m" (memory 1))
            (import "" "return" (func $return (param i32)))
            (import "" "get" (func $get (result i32)))
            (import "" "set" (func $set (param i32)))
            (import "" "set-new" (func $set-new (result i32)))
            (import "" "join" (func $join (param i32 i32)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "math" (func $math (param i32 i32) (result i32)))
            (import "" "old" (func $old (param i32) (result i32)))
            (global $open (mut i32) (i32.const 0))
            (global $next (mut i32) (i32.const 64))
            (func $answer (param i32) (result i32) (call $return (local.get 0)) (i32.const 0))
            (func (export "double") (param i32) (result i32)
                (call $answer (i32.mul (local.get 0) (i32.const 2))))
            (func (export "wait") (param i32) (result i32) (call $set (local.get 0)) (i32.const 1))
            (func (export "again") (param i32 i32 i32) (result i32)
                (if (i32.eqz (global.get $open)) (then (return (i32.const 1))))
                (call $answer (i32.add (call $get) (global.get $open))))
            (func (export "open") (param i32) (result i32)
                (global.set $open (local.get 0)) (call $answer (local.get 0)))
            (func (export "trap") (param i32) (result i32) unreachable)
            (func (export "spin") (param i32) (result i32) (loop $again (br $again)) unreachable)
            (func (export "grow") (param i32) (result i32)
                (if (i32.eq (memory.grow (local.get 0)) (i32.const -1)) (then unreachable))
                (call $answer (memory.size)))
            (func (export "haunt") (param i32) (result i32) (call $return (local.get 0)) (i32.const 1))
            (func (export "haunted") (param i32 i32 i32) (result i32) (loop $again (br $again)) unreachable)
            (func (export "ask-plain") (param i32) (result i32) (call $answer (call $old (local.get 0))))
            (func (export "ask") (param i32) (result i32) (local $at i32) (local $status i32)
                (local.set $at (global.get $next))
                (global.set $next (i32.add (local.get $at) (i32.const 16)))
                (call $set (local.get $at))
                (local.set $status (call $math (local.get 0) (local.get $at)))
                (if (i32.eq (i32.and (local.get $status) (i32.const 15)) (i32.const 2))
                    (then (return (call $answer (i32.load (local.get $at))))))
                (i32.store offset=8 (local.get $at) (call $set-new))
                (call $join (i32.shr_u (local.get $status) (i32.const 4)) (i32.load offset=8 (local.get $at)))
                (i32.or (i32.const 2) (i32.shl (i32.load offset=8 (local.get $at)) (i32.const 4))))
            (func (export "asked") (param i32 i32 i32) (result i32)
                (if (i32.ne (local.get 2) (i32.const 2)) (then
                    (return (i32.or (i32.const 2) (i32.shl (i32.load offset=8 (call $get)) (i32.const 4))))))
                (call $drop (local.get 1))
                (call $answer (i32.load (call $get)))))"#;
