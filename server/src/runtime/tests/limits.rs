//! What a handler may take and reach: every excess ends in words that name the handler, the limit and its key.

use protocol::{Grants, HostGrant};

use super::*;
use crate::runtime::grants;

fn greedy(function: &str) -> Call {
    Call {
        args: Bytes::new(),
        ..call("greedy", "test:greedy/greedy@0.1.0", function, 0)
    }
}

/// A guest that takes as many elements of tables, bytes of a host call, or stack as it can, and one with a long result.
fn guest() -> Vec<u8> {
    let text = r#"(component
        (import "wasi:logging/logging@0.1.0-draft" (instance $logging
            (type $levels (enum "trace" "debug" "info" "warn" "error" "critical"))
            (export "level" (type $level (eq $levels)))
            (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))
        (core module $Libc (memory (export "memory") 400)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
        (core instance $libc (instantiate $Libc))
        (core func $log (canon lower (func $logging "log") (memory (core memory $libc "memory"))
            (realloc (core func $libc "realloc"))))
        (core module $m
            (import "" "memory" (memory 1))
            (import "" "log" (func $log (param i32 i32 i32 i32 i32)))
            (table $one 10 funcref) (table $two 10 funcref)
            (func (export "tables")
                (if (i32.eq (table.grow $one (ref.null func) (i32.const 40)) (i32.const -1)) (then unreachable))
                (if (i32.eq (table.grow $two (ref.null func) (i32.const 41)) (i32.const -1)) (then unreachable)))
            (func (export "few-tables")
                (if (i32.eq (table.grow $one (ref.null func) (i32.const 40)) (i32.const -1)) (then unreachable)))
            (func (export "pass")
                (call $log (i32.const 2) (i32.const 64) (i32.const 0) (i32.const 64) (i32.const 100000)))
            (func $deep (export "deep") (call $deep))
            (func (export "long") (result i32)
                (call $log (i32.const 2) (i32.const 64) (i32.const 0) (i32.const 64) (i32.const 3))
                (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 0x1100000))
                (i32.const 16)))
        (core instance $c (instantiate $m (with "" (instance
            (export "memory" (memory $libc "memory")) (export "log" (func $log))))))
        (func $tables (canon lift (core func $c "tables")))
        (func $few-tables (canon lift (core func $c "few-tables")))
        (func $pass (canon lift (core func $c "pass")))
        (func $deep (canon lift (core func $c "deep")))
        (func $long (result (list u8)) (canon lift (core func $c "long") (memory (core memory $libc "memory"))))
        (instance $i (export "tables" (func $tables)) (export "few-tables" (func $few-tables))
            (export "pass" (func $pass)) (export "deep" (func $deep)) (export "long" (func $long)))
        (export "test:greedy/greedy@0.1.0" (instance $i)))"#;
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn limits() -> Limits {
    Limits {
        table_elements_max: 100,
        host_call_bytes_max: 64 << 10,
        ..Limits::default()
    }
}

#[tokio::test]
async fn each_excess_names_the_handler_the_limit_and_its_key() {
    let house = House::alone();
    house.serve_within("greedy", &guest(), limits());
    for (function, says) in [
        (
            "tables",
            ["101 elements", "may have 100", "`tables` in [handler.greedy]"],
        ),
        (
            "pass",
            [
                "65536 bytes",
                "to the host at once",
                "`host_call_bytes` in [handler.greedy]",
            ],
        ),
        ("deep", ["stack of 512 KiB", "every handler", "recurse less"]),
    ] {
        let error = house.call(greedy(function)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Trapped, "{error}");
        for part in says {
            assert!(error.message.contains(part), "`{part}` is missing in: {error}");
        }
        assert!(
            error.message.contains("`greedy`") && error.message.contains(function),
            "{error}"
        );
    }
    house.value(greedy("few-tables")).await;
    assert_eq!(house.figures().ended.trap, 3);
}

#[tokio::test]
async fn tables_that_are_too_large_from_the_start_are_named() {
    let house = House::alone();
    let limits = Limits {
        table_elements_max: 15,
        ..limits()
    };
    house.serve_within("greedy", &guest(), limits);
    let error = house.call(greedy("few-tables")).await.unwrap_err();
    assert!(error.message.contains("could not start"), "{error}");
    assert!(
        error.message.contains("raise `tables` in [handler.greedy]"),
        "{error}"
    );
    assert_eq!(house.figures().ended.start, 1);
}

#[tokio::test]
async fn a_result_that_is_too_long_is_no_trap_and_keeps_the_call_s_log() {
    let mut house = House::alone();
    house.serve("greedy", &guest());
    let error = house.call(sampled(greedy("long"))).await.unwrap_err();
    assert!(error.message.contains("16777216"), "{error}");
    let span = house.spans.recv().await.unwrap();
    assert_eq!(span.logs.len(), 1, "{span:?}");
    let ended = house.figures().ended;
    assert_eq!((ended.result, ended.trap), (1, 0));
}

#[tokio::test]
async fn ends_that_are_no_traps_are_told_apart() {
    let house = House::new(fails(ErrorCode::Unreachable));
    house.serve("front", &guests::front());
    house.call(ask(1)).await.unwrap_err();
    let cut = Call {
        args: Bytes::new(),
        ..ask(1)
    };
    assert_eq!(house.call(cut).await.unwrap_err().code, ErrorCode::Invalid);
    let ended = house.figures().ended;
    assert_eq!((ended.callee, ended.misfit, ended.trap), (1, 1, 0));
}

#[tokio::test]
async fn calls_beyond_the_concurrency_are_overloaded_at_once() {
    // One instance and none that waits; one and one; fewer calls than instances.
    for (instances_max, calls_max) in [(1, 1), (1, 2), (8, 2)] {
        let gate = Arc::new(Semaphore::new(0));
        let opened = Arc::clone(&gate);
        let house = House::new(move |call| {
            let gate = Arc::clone(&opened);
            Box::pin(async move {
                gate.acquire().await.unwrap().forget();
                Ok(Reply::new(call.args))
            })
        });
        let limits = Limits {
            instances_max,
            calls_max,
            ..Limits::default()
        };
        house.serve_within("front", &guests::front(), limits);
        let under_way: Vec<_> = (0..calls_max).map(|_| house.value(ask(1))).collect();
        let refused = async {
            while house.router.seen.lock().unwrap().len() < instances_max.min(calls_max) as usize {
                tokio::task::yield_now().await;
            }
            let error = house.call(ask(2)).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::Overloaded);
            let says = format!("`front` has {calls_max} calls under way");
            assert!(error.message.contains(&says), "{error}");
            assert!(error.message.contains("`concurrency`"), "{error}");
            assert!(error.message.contains("[handler.front]"), "{error}");
            gate.add_permits(calls_max as usize);
        };
        tokio::join!(futures_util::future::join_all(under_way), refused);
        // What was refused left nothing behind.
        gate.add_permits(1);
        assert_eq!(house.value(ask(3)).await, number(3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_calls_go_on_while_more_guests_spin_than_there_are_threads() {
    let house = House::alone();
    house.serve("math", &guests::math());
    house.serve("other", &guests::math());
    let tasks = Tasks::new();
    let over = Arc::new(Semaphore::new(0));
    for _ in 0..8 {
        let (runtime, over, token) = (Arc::clone(&house.runtime), Arc::clone(&over), tasks.token());
        let spin = until(math("spin", 0), 3 * WATCHDOG);
        tasks.spawn("a guest that spins", async move {
            token.run_until_cancelled(runtime.dispatch(spin)).await;
            over.add_permits(1);
        });
    }
    while house.runtime.figures().iter().map(|(_, of)| of.busy).sum::<u64>() < 8 {
        tokio::task::yield_now().await;
    }
    for x in 0..50 {
        assert_eq!(house.value(call("other", MATH, "double", x)).await, number(2 * x));
    }
    assert_eq!(over.available_permits(), 0, "they spin on");
    // Nobody waits for them any more: each is gone at its next tick.
    tasks.cancel();
    let gone = tokio::time::timeout(WATCHDOG, over.acquire_many(8)).await;
    assert!(gone.is_ok(), "a guest that is given up ends");
}

/// A component that imports this interface with a function, and serves one of its own.
fn importing(interface: &str, function: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
        (import "{interface}" (instance (export "{function}" (func))))
        (core module $m (func (export "f") (result i32) i32.const 7))
        (core instance $c (instantiate $m))
        (func $f (result u32) (canon lift (core func $c "f")))
        (instance $i (export "f" (func $f)))
        (export "test:one/one@0.1.0" (instance $i)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn what_is_not_granted_is_refused_with_the_line_that_grants_it() {
    let house = House::alone();
    let artifact =
        |interface: &str, function| house.runtime.compile(&importing(interface, function)).unwrap().0;
    let cart = artifact("shop:cart/cart@0.1.0", "add");
    let queue = artifact("cleave:queue/queue@0.1.0", "enqueue");
    let web = artifact("wasi:http/outgoing-handler@0.2.0", "handle");
    let till = name("till");
    let interface = |text: &str| InterfaceName::parse(text).unwrap();
    let listing = |list: &[&str]| Grants {
        interfaces: Some(list.iter().map(|text| interface(text)).collect()),
        ..Grants::default()
    };
    assert_eq!(grants::within(&cart, &till, &Grants::default()), Ok(()));
    assert_eq!(
        grants::within(&cart, &till, &listing(&["shop:cart/cart"])),
        Ok(())
    );
    let refused = grants::within(&cart, &till, &listing(&["shop:email/email"])).unwrap_err();
    assert!(refused.reason.contains("`shop:cart/cart@0.1.0`"), "{refused}");
    assert!(
        refused
            .remedy
            .contains(r#"`interfaces = ["shop:email/email", "shop:cart/cart"]` under [handler.till]"#),
        "{refused}"
    );
    let refused = grants::within(&queue, &till, &Grants::default()).unwrap_err();
    assert!(refused.reason.contains("cleave:queue/queue"), "{refused}");
    assert!(refused.remedy.contains("`queues = [\"NAME\"]`"), "{refused}");
    let orders = Grants {
        queues: vec![protocol::QueueName::parse("orders").unwrap()],
        ..Grants::default()
    };
    assert_eq!(grants::within(&queue, &till, &orders), Ok(()));
    // Toolchains link it in, used or not: it is told of, and each request is denied.
    assert_eq!(grants::within(&web, &till, &Grants::default()), Ok(()));
    let told = grants::denied(&web, &till, &Grants::default()).unwrap();
    assert!(told.contains("hosts = [\"example.org\"]"), "{told}");
    let some = Grants {
        hosts: vec![HostGrant::parse("example.org").unwrap()],
        ..Grants::default()
    };
    assert_eq!(grants::denied(&web, &till, &some), None);
    // What may be called elsewhere follows.
    let may = |artifact: &Artifact, grants: &Grants| grants::callable(artifact, grants).len();
    assert_eq!(
        (may(&cart, &Grants::default()), may(&cart, &listing(&[]))),
        (1, 0)
    );
    assert_eq!((may(&queue, &Grants::default()), may(&queue, &orders)), (0, 1));
}
