//! A neighbour that works for a moment, and guests that mean ill.

/// `steps(n)` counts to `n`.
pub const NEIGHBOUR: &str = "bench:neighbour/neighbour@0.1.0";
/// `run()` of every hostile guest.
pub const EVIL: &str = "bench:evil/evil@0.1.0";

/// The bodies of the hostile guests' `run`: each never ends, or traps.
pub const HOSTILE: [&str; 5] = [
    // Spins.
    "(loop $again (br $again))",
    // Takes all memory, and touches it.
    "(local $at i32) (loop $again (local.set $at (memory.grow (i32.const 16)))
        (if (i32.eq (local.get $at) (i32.const -1)) (then unreachable))
        (memory.fill (i32.shl (local.get $at) (i32.const 16)) (i32.const 7) (i32.const 0x100000)) (br $again))",
    // Floods the neighbour with calls.
    "(loop $again (drop (call $steps (i32.const 10))) (br $again))",
    // Floods its log.
    "(loop $again (call $log (i32.const 2) (i32.const 64) (i32.const 3) (i32.const 64) (i32.const 3)) (br $again))",
    // Uses up its stack, without end.
    "(call $run)",
];

fn parse(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The neighbour.
pub fn neighbour() -> Vec<u8> {
    parse(
        r#"(component
        (core module $m (func (export "steps") (param $n i32) (result i32) (local $sum i32)
            (block $done (loop $again
                (br_if $done (i32.eqz (local.get $n)))
                (local.set $sum (i32.xor (i32.mul (local.get $sum) (i32.const 31)) (local.get $n)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br $again)))
            (local.get $sum)))
        (core instance $c (instantiate $m))
        (func $steps (param "n" u32) (result u32) (canon lift (core func $c "steps")))
        (instance $i (export "steps" (func $steps)))
        (export "bench:neighbour/neighbour@0.1.0" (instance $i)))"#,
    )
}

/// A hostile guest by its body; it imports the neighbour and the log.
pub fn hostile(body: &str) -> Vec<u8> {
    parse(&format!(
        r#"(component
        (import "{NEIGHBOUR}" (instance $neighbour
            (export "steps" (func (param "n" u32) (result u32)))))
        (import "wasi:logging/logging@0.1.0-draft" (instance $logging
            (type $levels (enum "trace" "debug" "info" "warn" "error" "critical"))
            (export "level" (type $level (eq $levels)))
            (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))
        (core module $Libc (memory (export "memory") 2) (data (i32.const 64) "Ada")
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
        (core instance $libc (instantiate $Libc))
        (core func $steps (canon lower (func $neighbour "steps")))
        (core func $log (canon lower (func $logging "log") (memory (core memory $libc "memory"))
            (realloc (core func $libc "realloc"))))
        (core module $m
            (import "" "memory" (memory 1))
            (import "" "steps" (func $steps (param i32) (result i32)))
            (import "" "log" (func $log (param i32 i32 i32 i32 i32)))
            (func $run (export "run") {body}))
        (core instance $c (instantiate $m (with "" (instance (export "memory" (memory $libc "memory"))
            (export "steps" (func $steps)) (export "log" (func $log))))))
        (func $run (canon lift (core func $c "run")))
        (instance $i (export "run" (func $run)))
        (export "{EVIL}" (instance $i)))"#
    ))
}
