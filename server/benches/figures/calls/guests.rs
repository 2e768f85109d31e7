//! Guests from text: a callee per shape of value, and callers that call it `n` times in one call of theirs.
//!
//! Written by hand so that a hop measures Cleave and not a language's allocator: memory is taken by moving a pointer,
//! which returns to its place after each call.

/// Two numbers in, one out.
pub const MATH: &str = "bench:math/math@0.1.0";
/// A list of bytes in, the same out.
pub const BLOB: &str = "bench:blob/blob@0.1.0";
/// An order in, the same out.
pub const ORDERS: &str = "bench:orders/orders@0.1.0";
/// `run(n)` of every caller.
pub const RUN: &str = "bench:run/run@0.1.0";

/// Bytes of one blob.
pub const BLOB_BYTES: usize = 64 << 10;

/// Memory whose allocator moves a pointer from 256 KiB on; `reset` moves it back.
const LIBC: &str = r#"(core module $Libc
    (memory (export "memory") 16)
    (global $next (mut i32) (i32.const 262144))
    (func (export "reset") (global.set $next (i32.const 262144)))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
            (i32.sub (i32.const 0) (local.get 2))))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (local.get $at)))
    (core instance $libc (instantiate $Libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))
    (alias core export $libc "reset" (core func $reset))"#;

/// The types of an order: 7 texts of its own and 2 in each of 5 items, which makes 17.
const ORDER: &str = r#"(type $item-record (record (field "sku" string) (field "name" string) (field "quantity" u32)
        (field "cents" u64)))
    (export "item" (type $item (eq $item-record)))
    (type $items (list $item))
    (type $order-record (record (field "id" string) (field "customer" string) (field "email" string)
        (field "street" string) (field "city" string) (field "country" string) (field "currency" string)
        (field "items" $items) (field "cents" u64)))
    (export "order" (type $order (eq $order-record)))
    (export "process" (func (param "order" $order) (result $order)))"#;

fn parse(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The callee of [`MATH`].
pub fn math() -> Vec<u8> {
    parse(
        r#"(component
        (core module $m (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
        (core instance $c (instantiate $m))
        (func $add (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $c "add")))
        (instance $i (export "add" (func $add)))
        (export "bench:math/math@0.1.0" (instance $i)))"#,
    )
}

/// A caller of [`MATH`].
pub fn math_caller() -> Vec<u8> {
    parse(
        r#"(component
        (import "bench:math/math@0.1.0" (instance $math
            (export "add" (func (param "a" u32) (param "b" u32) (result u32)))))
        (core func $add (canon lower (func $math "add")))
        (core module $m (import "" "add" (func $add (param i32 i32) (result i32)))
            (func (export "run") (param $n i32) (result i32) (local $sum i32)
                (block $done (loop $again
                    (br_if $done (i32.eqz (local.get $n)))
                    (local.set $sum (call $add (local.get $sum) (i32.const 1)))
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (br $again)))
                (local.get $sum)))
        (core instance $c (instantiate $m (with "" (instance (export "add" (func $add))))))
        (func $run (param "n" u32) (result u32) (canon lift (core func $c "run")))
        (instance $i (export "run" (func $run)))
        (export "bench:run/run@0.1.0" (instance $i)))"#,
    )
}

/// The callee of [`BLOB`]: the result is where the argument lies.
pub fn blob() -> Vec<u8> {
    parse(&format!(
        r#"(component {LIBC}
        (core module $m (import "" "memory" (memory 1)) (import "" "reset" (func $reset))
            (func (export "echo") (param i32 i32) (result i32)
                (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))
            (func (export "after") (param i32) (call $reset)))
        (core instance $c (instantiate $m (with "" (instance
            (export "memory" (memory $memory)) (export "reset" (func $reset))))))
        (func $echo (param "data" (list u8)) (result (list u8)) (canon lift (core func $c "echo")
            (memory (core memory $memory)) (realloc (core func $realloc)) (post-return (core func $c "after"))))
        (instance $i (export "echo" (func $echo)))
        (export "{BLOB}" (instance $i)))"#
    ))
}

/// A caller of [`BLOB`].
pub fn blob_caller() -> Vec<u8> {
    let import = r#"(export "echo" (func (param "data" (list u8)) (result (list u8))))"#;
    let call = format!("(call $callee (i32.const 1024) (i32.const {BLOB_BYTES}) (i32.const 16))");
    caller(BLOB, import, ("echo", "i32 i32 i32"), &call, "")
}

/// The callee of [`ORDERS`]: the arguments' record is the result's.
pub fn orders() -> Vec<u8> {
    // An exported instance names its types itself: the same definitions, outside of an instance's type.
    let types = ORDER
        .replace(
            "(export \"item\" (type $item (eq $item-record)))",
            "(export $item \"item\" (type $item-record))",
        )
        .replace(
            "(export \"order\" (type $order (eq $order-record)))",
            "(export $order \"order\" (type $order-record))",
        )
        .replace(
            "(export \"process\" (func (param \"order\" $order) (result $order)))",
            "",
        );
    parse(&format!(
        r#"(component {LIBC}
        (core module $m (import "" "reset" (func $reset))
            (func (export "process") (param i32) (result i32) (local.get 0))
            (func (export "after") (param i32) (call $reset)))
        (core instance $c (instantiate $m (with "" (instance (export "reset" (func $reset))))))
        {types}
        (func $process (param "order" $order) (result $order) (canon lift (core func $c "process")
            (memory (core memory $memory)) (realloc (core func $realloc)) (post-return (core func $c "after"))))
        (instance $i (export "item" (type $item)) (export "order" (type $order)) (export "process" (func $process)))
        (export "{ORDERS}" (instance $i)))"#
    ))
}

/// A caller of [`ORDERS`]: always the same order, from a data segment.
pub fn orders_caller() -> Vec<u8> {
    let call = "(call $callee (i32.const 1024) (i32.const 16))";
    let data: String = order_record(1024)
        .iter()
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    let data = format!(r#"(data (i32.const 1024) "{data}")"#);
    caller(ORDERS, ORDER, ("process", "i32 i32"), call, &data)
}

/// A caller whose callee is imported as `function` of `interface`, with the core parameters `params`.
fn caller(
    interface: &str,
    import: &str,
    (function, params): (&str, &str),
    call: &str,
    data: &str,
) -> Vec<u8> {
    parse(&format!(
        r#"(component
        (import "{interface}" (instance $callee {import}))
        {LIBC}
        (core func $lowered (canon lower (func $callee "{function}") (memory (core memory $memory)) (realloc (core func $realloc))))
        (core module $m (import "" "memory" (memory 1)) (import "" "reset" (func $reset))
            (import "" "callee" (func $callee (param {params})))
            {data}
            (func (export "run") (param $n i32) (result i32)
                (block $done (loop $again
                    (br_if $done (i32.eqz (local.get $n)))
                    {call}
                    (call $reset)
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (br $again)))
                (i32.load (i32.const 20))))
        (core instance $c (instantiate $m (with "" (instance (export "memory" (memory $memory))
            (export "reset" (func $reset)) (export "callee" (func $lowered))))))
        (func $run (param "n" u32) (result u32) (canon lift (core func $c "run")))
        (instance $i (export "run" (func $run)))
        (export "{RUN}" (instance $i)))"#
    ))
}

/// An order as it lies in a guest's memory at `base`: the record, its items, then all texts.
fn order_record(base: u32) -> Vec<u8> {
    const RECORD: u32 = 7 * 8 + 8 + 8;
    const ITEM: u32 = 8 + 8 + 8 + 8;
    const ITEMS: u32 = 5;
    let own = [
        "7f3c9a52-0141",
        "Maren Okafor",
        "maren@example.com",
        "4 Lantern Row",
        "Thistleby",
        "Norland",
        "EUR",
    ];
    let mut texts = Vec::new();
    let mut text = |text: &str| {
        let at = base + RECORD + ITEMS * ITEM + texts.len() as u32;
        texts.extend_from_slice(text.as_bytes());
        [at.to_le_bytes(), (text.len() as u32).to_le_bytes()].concat()
    };
    let mut record: Vec<u8> = own.iter().flat_map(|own| text(own)).collect();
    record.extend((base + RECORD).to_le_bytes());
    record.extend(ITEMS.to_le_bytes());
    record.extend(12_345_u64.to_le_bytes());
    for item in 0..ITEMS {
        record.extend(text(&format!("SKU-{item:05}")));
        record.extend(text(&format!("Brass lantern, size {item}")));
        record.extend((item + 1).to_le_bytes());
        record.extend([0; 4]);
        record.extend(2_469_u64.to_le_bytes());
    }
    record.extend(texts);
    record
}
