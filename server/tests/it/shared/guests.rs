//! Handlers with and without async functions that call each other, written by hand.

fn parsed(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// `test:shared/<own>`, whose plain `ask` calls the plain `ask` of `test:shared/<next>`.
pub(super) fn plain(own: &str, next: &str) -> Vec<u8> {
    parsed(&format!(
        r#"(component
        (import "test:shared/{next}@0.1.0" (instance $next (export "ask" (func (param "x" u32) (result u32)))))
        (core func $ask (canon lower (func $next "ask")))
        (core module $m (import "" "ask" (func $ask (param i32) (result i32)))
            (func (export "ask") (param i32) (result i32) (i32.add (call $ask (local.get 0)) (i32.const 1))))
        (core instance $c (instantiate $m (with "" (instance (export "ask" (func $ask))))))
        (func $lifted (param "x" u32) (result u32) (canon lift (core func $c "ask")))
        (instance $i (export "ask" (func $lifted)))
        (export "test:shared/{own}@0.1.0" (instance $i)))"#
    ))
}

/// `test:shared/last`, whose plain `ask` doubles, and traps for 13.
pub(super) fn last() -> Vec<u8> {
    parsed(
        r#"(component
        (core module $m (func (export "ask") (param i32) (result i32)
            (if (i32.eq (local.get 0) (i32.const 13)) (then unreachable))
            (i32.mul (local.get 0) (i32.const 2))))
        (core instance $c (instantiate $m))
        (func $lifted (param "x" u32) (result u32) (canon lift (core func $c "ask")))
        (instance $i (export "ask" (func $lifted)))
        (export "test:shared/last@0.1.0" (instance $i)))"#,
    )
}

/// `test:shared/relay`: the async `ask` calls `ask` of `test:shared/back` as an async function; `wait` yields until
/// another call of the same instance has opened the gate.
pub(super) fn relay() -> Vec<u8> {
    parsed(
        r#"(component
        (type $async (func async (param "x" u32) (result u32)))
        (import "test:shared/back@0.1.0" (instance $back
            (export "ask" (func async (param "x" u32) (result u32)))))
        (core module $memory (memory (export "m") 1))
        (core instance $memory (instantiate $memory))
        (core func $return (canon task.return (result u32)))
        (core func $get (canon context.get i32 0))
        (core func $set (canon context.set i32 0))
        (core func $set-new (canon waitable-set.new))
        (core func $join (canon waitable.join))
        (core func $drop (canon subtask.drop))
        (core func $back (canon lower (func $back "ask") async (memory (core memory $memory "m"))))
        (core module $m
            (import "" "m" (memory 1))
            (import "" "return" (func $return (param i32)))
            (import "" "get" (func $get (result i32)))
            (import "" "set" (func $set (param i32)))
            (import "" "set-new" (func $set-new (result i32)))
            (import "" "join" (func $join (param i32 i32)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "back" (func $back (param i32 i32) (result i32)))
            (global $open (mut i32) (i32.const 0))
            (global $next (mut i32) (i32.const 64))
            (func $answer (param i32) (result i32) (call $return (local.get 0)) (i32.const 0))
            (func (export "wait") (param i32) (result i32) (call $set (local.get 0)) (i32.const 1))
            (func (export "again") (param i32 i32 i32) (result i32)
                (if (i32.eqz (global.get $open)) (then (return (i32.const 1))))
                (call $answer (i32.add (call $get) (global.get $open))))
            (func (export "open") (param i32) (result i32)
                (global.set $open (local.get 0)) (call $answer (local.get 0)))
            (func (export "ask") (param i32) (result i32) (local $at i32) (local $status i32)
                (local.set $at (global.get $next))
                (global.set $next (i32.add (local.get $at) (i32.const 16)))
                (call $set (local.get $at))
                (local.set $status (call $back (local.get 0) (local.get $at)))
                (if (i32.eq (i32.and (local.get $status) (i32.const 15)) (i32.const 2))
                    (then (return (call $answer (i32.add (i32.load (local.get $at)) (i32.const 100))))))
                (i32.store offset=8 (local.get $at) (call $set-new))
                (call $join (i32.shr_u (local.get $status) (i32.const 4)) (i32.load offset=8 (local.get $at)))
                (i32.or (i32.const 2) (i32.shl (i32.load offset=8 (local.get $at)) (i32.const 4))))
            (func (export "asked") (param i32 i32 i32) (result i32)
                (if (i32.ne (local.get 2) (i32.const 2)) (then
                    (return (i32.or (i32.const 2) (i32.shl (i32.load offset=8 (call $get)) (i32.const 4))))))
                (call $drop (local.get 1))
                (call $answer (i32.add (i32.load (call $get)) (i32.const 100)))))
        (core instance $c (instantiate $m (with "" (instance
            (export "m" (memory $memory "m")) (export "return" (func $return)) (export "get" (func $get))
            (export "set" (func $set)) (export "set-new" (func $set-new)) (export "join" (func $join))
            (export "drop" (func $drop)) (export "back" (func $back))))))
        (func $wait (type $async) (canon lift (core func $c "wait") async (callback (core func $c "again"))))
        (func $open (type $async) (canon lift (core func $c "open") async (callback (core func $c "again"))))
        (func $ask (type $async) (canon lift (core func $c "ask") async (callback (core func $c "asked"))))
        (instance $i (export "wait" (func $wait)) (export "open" (func $open)) (export "ask" (func $ask)))
        (export "test:shared/relay@0.1.0" (instance $i)))"#,
    )
}
