//! Which replica a call goes to.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use protocol::shape::Shape;
use protocol::value::{put_leb, put_str};
use protocol::{FunctionPath, HandlerName, InterfaceName, Transport};

use super::*;
use crate::dispatch::{Dispatch, Reply, ReplyFuture};
use crate::telemetry::{Sampler, Sampling};

struct Nobody;

impl Dispatch for Nobody {
    fn dispatch(&self, _: Call) -> ReplyFuture<'_> {
        Box::pin(async { Ok(Reply::new(Bytes::new())) })
    }
}

fn replicas(count: usize) -> Replicas {
    let mut replicas = Replicas::default();
    for number in 1..=count {
        let target = Target {
            dispatcher: Arc::new(Nobody),
            transport: Transport::Quic,
        };
        replicas.push(&NodeName::parse(&format!("cart-{number}")).unwrap(), target);
    }
    replicas
}

fn path(version: &str) -> FunctionPath {
    FunctionPath::new(
        InterfaceName::parse(&format!("shop:cart/cart@{version}")).unwrap(),
        "add",
    )
}

/// `add(quantity, user-id)`.
fn call(user: &str) -> Call {
    let mut args = BytesMut::new();
    put_leb(&mut args, 300);
    put_str(&mut args, user);
    Call {
        caller: HandlerName::cli(),
        handler: None,
        function: Arc::new(path("0.1.3")),
        type_hash: None,
        args: args.freeze(),
        deadline: Instant::now(),
        trace: Sampler::new(Sampling::Off).head(None),
        hop: 0,
        lift_ns: 0,
    }
}

fn by_user() -> Affinity {
    Affinity {
        handler: HandlerName::parse("cart").unwrap(),
        function: path("0.1.0"),
        before: vec![Shape::Leb],
        parameter: Shape::Bytes,
    }
}

fn node<'r>(replicas: &'r Replicas, user: &str) -> &'r str {
    let (_, chosen) = replicas.choose(&call(user)).unwrap();
    chosen.unwrap().one.node.as_str()
}

#[test]
fn one_node_is_no_choice_and_none_is_nowhere() {
    assert!(replicas(0).choose(&call("robin")).is_none());
    assert!(replicas(1).choose(&call("robin")).unwrap().1.is_none());
    assert_eq!(replicas(40).all.len(), 16);
}

#[test]
fn each_gets_its_share_and_the_busy_ones_get_less() {
    let four = replicas(4);
    let mut taken: BTreeMap<String, Vec<InFlight>> = BTreeMap::new();
    for _ in 0..400 {
        let (_, chosen) = four.choose(&call("robin")).unwrap();
        let chosen = chosen.unwrap();
        taken
            .entry(chosen.one.node.to_string())
            .or_default()
            .push(chosen.enter());
    }
    let shares: Vec<usize> = taken.values().map(Vec::len).collect();
    assert_eq!(shares.len(), 4);
    // Of two draws the less loaded one is taken, so that the shares stay close.
    assert!(
        shares.iter().all(|share| (95..=105).contains(share)),
        "{shares:?}"
    );
    drop(taken.remove("cart-2"));
    let mut more = 0;
    for _ in 0..100 {
        more += usize::from(node(&four, "robin") == "cart-2");
    }
    assert!(
        (35..=65).contains(&more),
        "it is drawn every other time, and then taken: {more}"
    );
}

#[test]
fn calls_that_an_older_table_routed_are_still_counted() {
    let older = replicas(2);
    let busy = older.choose(&call("robin")).unwrap().1.unwrap();
    let held: Vec<InFlight> = (0..9).map(|_| busy.enter()).collect();
    let mut newer = replicas(3);
    newer.inherit(&older);
    let load = |node: &NodeName| {
        let replica = newer.all.iter().find(|replica| replica.node == *node).unwrap();
        replica.in_flight.load(Ordering::Relaxed)
    };
    assert_eq!(load(&busy.one.node), 9);
    drop(held);
    assert_eq!(load(&busy.one.node), 0);
}

#[test]
fn one_that_was_not_reached_is_left_out_while_there_are_others() {
    let two = replicas(2);
    let first = two.choose(&call("robin")).unwrap().1.unwrap();
    assert!(first.leave_out());
    for _ in 0..20 {
        assert_ne!(node(&two, "robin"), first.one.node.as_str());
    }
    let second = two.choose(&call("robin")).unwrap().1.unwrap();
    assert!(!second.leave_out());
    assert!(
        two.choose(&call("robin")).is_some(),
        "with all of them out each is tried"
    );
}

#[test]
fn an_affinity_keeps_its_replica_and_only_those_of_a_replica_that_goes_move() {
    let (mut three, mut four) = (replicas(3), replicas(4));
    three.set_affinity(&by_user());
    four.set_affinity(&by_user());
    let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
    let users: Vec<String> = (0..1_000).map(|number| format!("user-{number}")).collect();
    for user in &users {
        let at = node(&four, user);
        assert_eq!(node(&four, user), at);
        *shares.entry(at).or_default() += 1;
        if at != "cart-4" {
            assert_eq!(node(&three, user), at, "{user}");
        }
    }
    assert!(
        shares.len() == 4 && shares.values().all(|share| (180..=320).contains(share)),
        "{shares:?}"
    );
    // The same function without that parameter, or with bytes that are none: by load.
    let mut strange = call("robin");
    strange.args = Bytes::from_static(&[0xff]);
    assert!(four.key(&strange).is_none() && four.choose(&strange).is_some());
    let mut other = call("robin");
    other.function = Arc::new(FunctionPath::new(path("0.1.0").interface, "list"));
    assert!(four.key(&other).is_none());
    let mut next_track = call("robin");
    next_track.function = Arc::new(path("0.2.0"));
    assert!(four.key(&next_track).is_none());
}
