//! What the ways to have an instance cost, for information: no bound is set on them.
//!
//! `fresh` makes a store for each call, `shared` hands each call to the task of a store on the concurrent engine; both are
//! told against `pooled`, one call after the other. What `shared` is for, many calls that wait, is no matter of cost.

use std::time::Instant;

use protocol::control::{InstancePolicy, Limits};
use server::dispatch::Dispatch as _;

use super::{Bound, House, Row, TURNS, call, guests, paired};

/// Calls of a turn.
const CALLS: u32 = 2_000;

fn house(executor: &tokio::runtime::Runtime, wasm: &[u8], policy: InstancePolicy) -> House {
    let mut house = House::new(executor);
    let limits = Limits {
        policy: Some(policy),
        ..Limits::default()
    };
    house.deploy_within("callee", wasm, guests::MATH, limits);
    house.publish();
    house
}

fn call_ns(executor: &tokio::runtime::Runtime, house: &House) -> f64 {
    let began = Instant::now();
    executor.block_on(async {
        for _ in 0..CALLS {
            let call = call(Some("callee"), guests::MATH, "add", vec![1, 2]);
            house.router.dispatch(call).await.expect("it adds");
        }
    });
    began.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn against_pooled(
    executor: &tokio::runtime::Runtime,
    name: &'static str,
    other: &House,
    words: (&'static str, &'static str, &'static str),
) -> Row {
    let pooled = house(executor, &guests::math(), InstancePolicy::Pooled);
    let measured = paired(TURNS, || call_ns(executor, other), || call_ns(executor, &pooled));
    measured.row(name, Bound::Told, 1.0, words)
}

/// A new instance for each call.
pub(super) fn fresh(executor: &tokio::runtime::Runtime) -> Row {
    let fresh = house(executor, &guests::math(), InstancePolicy::Fresh);
    against_pooled(
        executor,
        "call_fresh_vs_pooled",
        &fresh,
        ("fresh", "pooled", "ns"),
    )
}

/// An instance that could serve many calls at a time.
pub(super) fn shared(executor: &tokio::runtime::Runtime) -> Row {
    let shared = house(executor, &async_math(), InstancePolicy::Shared);
    against_pooled(
        executor,
        "call_shared_vs_pooled",
        &shared,
        ("shared", "pooled", "ns"),
    )
}

/// `add`, as an `async func`.
fn async_math() -> Vec<u8> {
    let text = format!(
        r#"(component
        (type $async (func async (param "a" u32) (param "b" u32) (result u32)))
        (core func $return (canon task.return (result u32)))
        (core module $m (import "" "return" (func $return (param i32)))
            (func (export "add") (param i32 i32) (result i32)
                (call $return (i32.add (local.get 0) (local.get 1))) (i32.const 0))
            (func (export "again") (param i32 i32 i32) (result i32) unreachable))
        (core instance $c (instantiate $m (with "" (instance (export "return" (func $return))))))
        (func $add (type $async) (canon lift (core func $c "add") async (callback (core func $c "again"))))
        (instance $i (export "add" (func $add)))
        (export "{}" (instance $i)))"#,
        guests::MATH
    );
    wat::parse_str(text).expect("the text is a component")
}
