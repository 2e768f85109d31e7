//! The zoo, written by hand: what no compiler would make. Each function of `hostile:zoo/zoo` does one evil thing.

/// The component with every animal; it imports the neighbour, to flood it.
pub(super) fn component() -> Vec<u8> {
    let text = format!(
        "(component {IMPORTS} {MEMORY} {LOWERED} {ANIMALS} {INSTANCE} {})",
        lifted()
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// `hostile:ring/<own>`, whose `go` calls that of `hostile:ring/<next>`.
pub(super) fn ring(own: &str, next: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
        (import "hostile:ring/{next}@0.1.0" (instance $next (export "go" (func))))
        (core func $go (canon lower (func $next "go")))
        (core module $m (import "" "go" (func $go)) (func (export "go") (call $go)))
        (core instance $c (instantiate $m (with "" (instance (export "go" (func $go))))))
        (func $lifted (canon lift (core func $c "go")))
        (instance $i (export "go" (func $lifted)))
        (export "hostile:ring/{own}@0.1.0" (instance $i)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A component that imports another handler's interface with these items, and serves one of its own.
pub(super) fn borrower(interface: &str, items: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
        (import "{interface}" (instance {items}))
        (core module $m (func (export "f") (result i32) i32.const 7))
        (core instance $c (instantiate $m))
        (func $f (result u32) (canon lift (core func $c "f")))
        (instance $i (export "seven" (func $f)))
        (export "hostile:borrower/borrower@0.1.0" (instance $i)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

const IMPORTS: &str = r#"
    (import "example:hello/greeter@0.1.0" (instance $hello
        (export "greet" (func (param "name" string) (result string)))))
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $outer))
        (export "pollable" (type $pollable (eq $outer)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
    (import "wasi:logging/logging@0.1.0-draft" (instance $logging
        (type $levels (enum "trace" "debug" "info" "warn" "error" "critical"))
        (export "level" (type $level (eq $levels)))
        (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))
    (import "wasi:keyvalue/store@0.2.0-draft2" (instance $store
        (export "bucket" (type $bucket (sub resource)))
        (type $errors (variant (case "no-such-store") (case "access-denied") (case "other" string)))
        (export "error" (type $error (eq $errors)))
        (export "open" (func (param "identifier" string) (result (result (own $bucket) (error $error)))))))
"#;

const MEMORY: &str = r#"
    (core module $Libc
        (memory (export "memory") 4)
        (data (i32.const 64) "Ada")
        (data (i32.const 80) "\ff\fe")
        (global $next (mut i32) (i32.const 65536))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                (i32.sub (i32.const 0) (local.get 2))))
            (global.set $next (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
        (func (export "reset") (global.set $next (i32.const 65536))))
    (core instance $libc (instantiate $Libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))
    (alias core export $libc "reset" (core func $reset))
"#;

const LOWERED: &str = r#"
    (core func $greet (canon lower (func $hello "greet") (memory (core memory $memory)) (realloc (core func $realloc))))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core func $log (canon lower (func $logging "log") (memory (core memory $memory)) (realloc (core func $realloc))))
    (core func $open (canon lower (func $store "open") (memory (core memory $memory)) (realloc (core func $realloc))))
"#;

const ANIMALS: &str = r#"
    (core module $Zoo
        (import "" "memory" (memory 1))
        (import "" "reset" (func $reset))
        (import "" "greet" (func $greet (param i32 i32 i32)))
        (import "" "block" (func $block (param i32)))
        (import "" "subscribe" (func $subscribe (param i64) (result i32)))
        (import "" "log" (func $log (param i32 i32 i32 i32 i32)))
        (import "" "open" (func $open (param i32 i32 i32)))
        (global $calls (mut i32) (i32.const 0))
        (func $pair (param i32 i32) (result i32)
            (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))
        (func (export "count") (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))
        (func (export "spin") (loop $again (br $again)))
        (func (export "sleep") (call $block (call $subscribe (i64.const 3600000000000))))
        (func (export "grow")
            (loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable)
        (func $recurse (export "recurse") (call $recurse))
        (func (export "hoard-handles") (loop $again (call $open (i32.const 64) (i32.const 3) (i32.const 32)) (br $again)))
        (func (export "flood-logs")
            (loop $again
                (call $log (i32.const 2) (i32.const 64) (i32.const 3) (i32.const 64) (i32.const 3)) (br $again)))
        (func (export "flood-calls")
            (loop $again (call $greet (i32.const 64) (i32.const 3) (i32.const 32)) (call $reset) (br $again)))
        (func (export "huge-list") (result i32) (call $pair (i32.const 0) (i32.const 0x7fffffff)))
        (func (export "list-outside") (result i32) (call $pair (i32.const 0x7ffffff0) (i32.const 2)))
        (func (export "list-misaligned") (result i32) (call $pair (i32.const 17) (i32.const 1)))
        (func (export "pair-outside") (result i32) (i32.const 0x7ffffff0))
        (func (export "pair-misaligned") (result i32) (i32.const 17))
        (func (export "text-invalid") (result i32) (call $pair (i32.const 80) (i32.const 2)))
        (func (export "char-surrogate") (result i32) (i32.const 0xd800))
        (func (export "char-beyond") (result i32) (i32.const 0x110000))
        (func (export "case-beyond") (result i32) (i32.const 7))
        (func (export "giant-result") (result i32)
            (drop (memory.grow (i32.const 320))) (call $pair (i32.const 0) (i32.const 0x1100000)))
        (func (export "trap-after-result") (result i32) (call $pair (i32.const 64) (i32.const 3)))
        (func (export "after-result") (param i32) unreachable)
        (func (export "take") (param i32 i32))
        (func (export "realloc-traps") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "realloc-lies") (param i32 i32 i32 i32) (result i32) (i32.const 0x7ffffff0)))
"#;

const INSTANCE: &str = r#"
    (core instance $zoo (instantiate $Zoo (with "" (instance
        (export "memory" (memory $memory)) (export "reset" (func $reset)) (export "greet" (func $greet))
        (export "block" (func $block)) (export "subscribe" (func $subscribe)) (export "log" (func $log))
        (export "open" (func $open))))))
"#;

/// Every function with its type, and the instance that exports them.
fn lifted() -> String {
    const WITHOUT: [&str; 7] = [
        "spin",
        "sleep",
        "grow",
        "recurse",
        "hoard-handles",
        "flood-logs",
        "flood-calls",
    ];
    const RETURNING: [(&str, &str); 12] = [
        ("count", "u32"),
        ("huge-list", "(list u64)"),
        ("list-outside", "(list u64)"),
        ("list-misaligned", "(list u64)"),
        ("pair-outside", "(tuple u32 u32)"),
        ("pair-misaligned", "(tuple u32 u32)"),
        ("text-invalid", "string"),
        ("char-surrogate", "char"),
        ("char-beyond", "char"),
        ("case-beyond", "(result)"),
        ("giant-result", "(list u8)"),
        ("trap-after-result", "string"),
    ];
    let mut functions = String::new();
    let mut exports = String::new();
    let mut add = |name: &str, signature: &str, options: &str| {
        let core = if options.contains("realloc (core func $zoo") {
            "take"
        } else {
            name
        };
        functions.push_str(&format!(
            r#"(func ${name} {signature} (canon lift (core func $zoo "{core}") (memory (core memory $memory)) {options}))"#
        ));
        exports.push_str(&format!(r#"(export "{name}" (func ${name}))"#));
    };
    for name in WITHOUT {
        add(name, "", "");
    }
    for (name, result) in RETURNING {
        let after = match name {
            "trap-after-result" => r#"(post-return (core func $zoo "after-result"))"#,
            _ => "",
        };
        add(name, &format!("(result {result})"), after);
    }
    for name in ["realloc-traps", "realloc-lies"] {
        let realloc = format!(r#"(realloc (core func $zoo "{name}"))"#);
        add(name, r#"(param "text" string)"#, &realloc);
    }
    format!(
        r#"{functions} (instance $exported {exports})
        (export "hostile:zoo/zoo@0.1.0" (instance $exported))"#
    )
}
