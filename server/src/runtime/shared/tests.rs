//! Several calls in one instance, through a whole runtime.

mod guests;

use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::control::{InstancePolicy, Limits};
use tokio::sync::Semaphore;

use super::*;
use crate::dispatch::{Call, Reply, ReplyFuture};
use crate::runtime::tests::{House, WATCHDOG, call, guests as plain, name, number, sampled, until};

const GATE: &str = "test:gate/gate@0.1.0";

fn gate(function: &str, x: u64) -> Call {
    call("gate", GATE, function, x)
}

/// One instance, so that calls meet in it.
fn one() -> Limits {
    Limits {
        instances_max: 1,
        ..Limits::default()
    }
}

fn serving(house: &House, limits: Limits) {
    house.serve_within("gate", &guests::gate(), limits);
}

/// A router that answers each call with twice what it is asked, once a permit is there.
fn doubling(permits: &Arc<Semaphore>) -> impl Fn(Call) -> ReplyFuture<'static> + Send + Sync + 'static {
    let permits = Arc::clone(permits);
    move |call| {
        let permits = Arc::clone(&permits);
        Box::pin(async move {
            permits.acquire().await.unwrap().forget();
            Ok(Reply::new(number(2 * u64::from(call.args[0]))))
        })
    }
}

async fn met(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WATCHDOG, waiting)
        .await
        .expect("it comes to be");
}

#[tokio::test]
async fn a_second_call_in_the_same_instance_releases_the_first() {
    let house = House::alone();
    serving(&house, one());
    let (first, second) = tokio::join!(house.value(gate("wait", 5)), async {
        met(|| house.figures().busy == 1).await;
        house.value(gate("open", 30)).await
    });
    assert_eq!((first, second), (number(35), number(30)));
    assert_eq!(house.value(gate("double", 4)).await, number(8));
    let figures = house.figures();
    assert_eq!((figures.made, figures.idle, figures.busy), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outgoing_calls_overlap_and_go_in_the_name_of_their_own_call() {
    let permits = Arc::new(Semaphore::new(0));
    let house = House::new(doubling(&permits));
    serving(&house, one());
    let seen = || house.router.seen.lock().unwrap().len();
    let asks = (0..20).map(|x| {
        let mut ask = sampled(gate("ask", x));
        ask.hop = x as u8;
        ask.deadline += Duration::from_secs(x);
        let deadline = ask.deadline;
        let house = &house;
        async move { (x, deadline, house.value(ask).await) }
    });
    let release = async {
        met(|| seen() == 20).await;
        permits.add_permits(20);
    };
    let (values, ()) = tokio::join!(futures_util::future::join_all(asks), release);
    let calls = house.router.seen.lock().unwrap();
    for (x, deadline, value) in values {
        assert_eq!(value, number(2 * x));
        let own = calls.iter().find(|call| call.args == number(x)).unwrap();
        assert_eq!((own.hop, own.deadline), (x as u8 + 1, deadline));
        assert!(own.trace.sampled);
        let twins = calls
            .iter()
            .filter(|call| call.trace.span_id == own.trace.span_id);
        assert_eq!(twins.count(), 1, "each goes on the span of its own call");
    }
    assert_eq!(house.figures().made, 1);
}

#[tokio::test]
async fn a_trap_ends_the_calls_of_its_instance_and_names_the_one_that_trapped() {
    let house = House::alone();
    serving(&house, one());
    let (waiting, trapped) = tokio::join!(house.call(gate("wait", 5)), async {
        met(|| house.figures().busy == 1).await;
        house.call(gate("trap", 1)).await
    });
    let error = trapped.unwrap_err();
    assert_eq!(error.code, ErrorCode::Trapped);
    assert!(
        error.message.contains("`gate` trapped in `test:gate/gate.trap`"),
        "{error}"
    );
    let error = waiting.unwrap_err();
    assert_eq!(error.code, ErrorCode::Trapped);
    assert!(
        error.message.contains("shared its instance") && error.message.contains("gate.trap"),
        "{error}"
    );
    assert_eq!(house.value(gate("double", 5)).await, number(10));
    let figures = house.figures();
    assert_eq!((figures.made, figures.ended.trap), (2, 1));
}

#[tokio::test]
async fn a_trap_leaves_other_instances_alone() {
    let house = House::alone();
    let limits = Limits {
        policy: Some(InstancePolicy::Pooled),
        ..Limits::default()
    };
    serving(&house, limits);
    let lasting = until(gate("wait", 5), Duration::from_millis(200));
    let (waiting, trapped) = tokio::join!(house.call(lasting), house.call(gate("trap", 1)));
    assert_eq!(trapped.unwrap_err().code, ErrorCode::Trapped);
    assert_eq!(waiting.unwrap_err().code, ErrorCode::Deadline);
}

#[tokio::test]
async fn a_spinner_ends_by_its_deadline_with_its_instance() {
    let house = House::alone();
    serving(&house, one());
    let spin = until(gate("spin", 1), Duration::from_millis(100));
    let deadline = spin.deadline;
    let (waiting, spun) = tokio::join!(house.call(gate("wait", 5)), async {
        met(|| house.figures().busy == 1).await;
        house.call(spin).await
    });
    let error = spun.unwrap_err();
    assert_eq!(error.code, ErrorCode::Deadline, "{error}");
    assert!(Instant::now() >= deadline);
    let error = waiting.unwrap_err();
    assert_eq!(error.code, ErrorCode::Trapped);
    assert!(
        error.message.contains("gate.spin") && error.message.contains("deadline"),
        "{error}"
    );
    assert_eq!(house.value(gate("double", 5)).await, number(10));
    assert_eq!(house.figures().ended.deadline, 1);
}

#[tokio::test]
async fn one_that_goes_on_running_after_its_result_ends_its_instance() {
    let house = House::alone();
    serving(&house, one());
    assert_eq!(house.value(gate("haunt", 7)).await, number(7));
    met(|| house.figures().ended.deadline == 1).await;
    assert_eq!(house.value(gate("double", 5)).await, number(10));
}

#[tokio::test]
async fn one_that_waits_past_its_deadline_takes_its_instance_out_and_harms_nobody() {
    let permits = Arc::new(Semaphore::new(0));
    let house = House::new(doubling(&permits));
    serving(&house, one());
    let short = until(gate("ask", 1), Duration::from_millis(50));
    let error = house.call(short).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Deadline, "{error}");
    met(|| house.figures().ended.deadline == 1).await;
    permits.add_permits(8);
    assert_eq!(house.value(gate("ask", 2)).await, number(4));
    let figures = house.figures();
    assert_eq!((figures.made, figures.ended.deadline), (2, 1));
}

#[tokio::test]
async fn a_failed_call_that_cannot_be_taken_ends_its_caller_alone() {
    let house = House::new(crate::runtime::tests::fails(ErrorCode::Unreachable));
    serving(&house, one());
    // The instance takes no more calls then, so that nobody opens the gate: the neighbour ends by its own deadline.
    let neighbour = until(gate("wait", 5), Duration::from_secs(1));
    let (waiting, asked) = tokio::join!(house.call(neighbour), async {
        met(|| house.figures().busy == 1).await;
        house.call(gate("ask", 1)).await
    });
    let error = asked.unwrap_err();
    assert_eq!(error.code, ErrorCode::Trapped, "{error}");
    assert!(error.message.contains("no case `call-failed`"), "{error}");
    assert_eq!(waiting.unwrap_err().code, ErrorCode::Deadline);
}

/// Says that it was dropped.
struct Told(Arc<AtomicUsize>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_cancelled_call_ends_its_outgoing_call_and_its_neighbour_goes_on() {
    let (dropped, permits) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (told, answering) = (Arc::clone(&dropped), doubling(&permits));
    let house = House::new(move |call| {
        if call.args != number(1) {
            return answering(call);
        }
        let told = Told(Arc::clone(&told));
        Box::pin(async move {
            let _told = told;
            std::future::pending().await
        })
    });
    serving(&house, one());
    let seen = || house.router.seen.lock().unwrap().len();
    let (neighbour, ()) = tokio::join!(house.value(gate("ask", 9)), async {
        met(|| seen() == 1).await;
        let asking = house.call(gate("ask", 1));
        tokio::select! {
            answer = asking => panic!("{answer:?}"),
            () = met(|| seen() == 2) => {}
        }
        met(|| dropped.load(Ordering::SeqCst) == 1).await;
        permits.add_permits(1);
    });
    assert_eq!(neighbour, number(18));
    met(|| house.figures().busy == 0).await;
    assert_eq!(house.figures().ended.cancelled, 1);
}

#[tokio::test]
async fn memory_beyond_the_limit_is_named() {
    let house = House::alone();
    let limits = Limits {
        memory_bytes_max: 1 << 20,
        ..one()
    };
    serving(&house, limits);
    let error = house.call(gate("grow", 100)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Trapped);
    assert!(error.message.contains("raise `memory`"), "{error}");
}

#[tokio::test]
async fn arguments_that_do_not_fit_harm_nobody() {
    let house = House::alone();
    serving(&house, one());
    let (first, _) = tokio::join!(house.value(gate("wait", 5)), async {
        met(|| house.figures().busy == 1).await;
        for bad in [&[][..], &[1, 1], &[0xff; 12]] {
            let args = Bytes::copy_from_slice(bad);
            let misfit = Call {
                args,
                ..gate("double", 0)
            };
            let error = house.call(misfit).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::Invalid, "{error}");
        }
        house.value(gate("open", 30)).await
    });
    assert_eq!(first, number(35));
}

#[tokio::test]
async fn calls_wait_for_room_up_to_their_deadline() {
    let house = House::alone();
    let limits = Limits {
        instance_calls_max: 1,
        ..one()
    };
    serving(&house, limits);
    let holding = until(gate("wait", 5), Duration::from_millis(400));
    let (_, waiting) = tokio::join!(house.call(holding), async {
        met(|| house.figures().busy == 1).await;
        let short = until(gate("double", 1), Duration::from_millis(50));
        house.call(short).await
    });
    let error = waiting.unwrap_err();
    assert_eq!(error.code, ErrorCode::Deadline);
    assert!(error.message.contains("had room"), "{error}");
    assert_eq!(house.value(gate("double", 5)).await, number(10));
}

#[tokio::test]
async fn a_plain_import_holds_its_instance_up_and_is_answered() {
    let permits = Arc::new(Semaphore::new(64));
    let house = House::new(doubling(&permits));
    serving(&house, one());
    let (a, b) = tokio::join!(house.value(gate("ask-plain", 3)), house.value(gate("double", 4)));
    assert_eq!((a, b), (number(6), number(8)));
}

#[tokio::test]
async fn a_newer_version_takes_over_and_calls_under_way_finish() {
    let permits = Arc::new(Semaphore::new(0));
    let house = House::new(doubling(&permits));
    serving(&house, one());
    let asking = house.value(gate("ask", 4));
    let swapping = async {
        met(|| house.router.seen.lock().unwrap().len() == 1).await;
        serving(&house, one());
        assert_eq!(house.value(gate("double", 1)).await, number(2));
        permits.add_permits(1);
    };
    let (answer, ()) = tokio::join!(asking, swapping);
    assert_eq!(answer, number(8));
    assert_eq!(house.figures().ended.withdrawn, 1);
}

#[tokio::test]
async fn policies_place_calls_as_they_say() {
    let house = House::alone();
    for (policy, made) in [(InstancePolicy::Fresh, 3), (InstancePolicy::Pooled, 1)] {
        let handler = policy.as_str();
        let limits = Limits {
            policy: Some(policy),
            ..Limits::default()
        };
        house.serve_within(handler, &guests::gate(), limits);
        for x in 0..3 {
            assert_eq!(house.value(call(handler, GATE, "double", x)).await, number(2 * x));
        }
        let figures = house.runtime.figures();
        let own = figures.iter().find(|(name, _)| name.as_str() == handler);
        assert_eq!(own.unwrap().1.made, made, "{handler}");
    }
    let limits = Limits {
        policy: Some(InstancePolicy::Shared),
        ..Limits::default()
    };
    let (artifact, _) = house.runtime.compile(&plain::math()).unwrap();
    let error = house
        .runtime
        .deploy(&name("math"), &artifact, limits)
        .unwrap_err();
    assert!(error.to_string().contains("no async functions"), "{error}");
}

#[tokio::test]
async fn a_chain_comes_back_to_the_same_instance() {
    use std::sync::OnceLock;
    let runtime: Arc<OnceLock<Arc<crate::runtime::Runtime>>> = Arc::default();
    let own = Arc::clone(&runtime);
    let house = House::new(move |outgoing| {
        let runtime = Arc::clone(own.get().unwrap());
        Box::pin(async move {
            if outgoing.hop >= 30 {
                return Ok(Reply::new(number(7)));
            }
            let deeper = Call {
                handler: Some(name("gate")),
                function: gate("ask", 1).function,
                ..outgoing
            };
            crate::dispatch::Dispatch::dispatch(&*runtime, deeper).await
        })
    });
    runtime.set(Arc::clone(&house.runtime)).ok().unwrap();
    serving(&house, one());
    assert_eq!(house.value(gate("ask", 1)).await, number(7));
    assert_eq!(house.figures().made, 1);
}

#[tokio::test]
async fn one_is_kept_ready_beside_those_that_are_busy() {
    let house = House::alone();
    let tasks = Tasks::new();
    house.runtime.start(&tasks);
    serving(&house, Limits::default());
    met(|| house.figures().idle == 1).await;
    let (waited, ()) = tokio::join!(house.value(gate("wait", 5)), async {
        met(|| house.figures().busy == 1 && house.figures().idle == 1).await;
        // The next call joins the one under way.
        assert_eq!(house.value(gate("open", 2)).await, number(2));
    });
    assert_eq!(waited, number(7));
    let figures = house.figures();
    assert_eq!((figures.made, figures.cold), (2, 0));
    tasks.drain(WATCHDOG).await.unwrap();
}
