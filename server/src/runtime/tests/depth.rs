//! Pools in depth and at their end: calls that come back to their caller, and more instances than the engine holds.

use std::sync::OnceLock;

use super::*;

/// A house whose router leads back into its runtime, up to a depth.
fn ring(deepest: u8) -> (House, Arc<OnceLock<Arc<Runtime>>>) {
    let runtime: Arc<OnceLock<Arc<Runtime>>> = Arc::default();
    let own = Arc::clone(&runtime);
    let house = House::new(move |mut call| {
        let runtime = Arc::clone(own.get().unwrap());
        Box::pin(async move {
            if call.hop >= deepest {
                return Ok(Reply::new(number(7)));
            }
            let handler = match call.function.interface.as_str() {
                FRONT => "front",
                _ => "math",
            };
            call.handler = Some(name(handler));
            runtime.dispatch(call).await
        })
    });
    runtime.set(Arc::clone(&house.runtime)).ok().unwrap();
    (house, runtime)
}

fn of(instances: u32) -> Limits {
    Limits {
        instances_max: instances,
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_cycle_without_an_instance_to_come_back_to_ends_by_its_deadline_and_says_so() {
    let (house, _runtime) = ring(30);
    house.serve_within("front", &guests::front(), of(1));
    house.serve_within("math", &guests::back(), of(1));
    let deep = until(ask(1), Duration::from_millis(200));
    let error = house.call(deep).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Deadline, "{error}");
    // All of the ring end by the same moment: whoever comes first says what it waited for.
    let names_the_wait =
        error.message.contains("no instance of `front`") && error.message.contains("raise `instances`");
    assert!(
        names_the_wait || error.message.contains("did not end `test:front/front.ask`"),
        "{error}"
    );
    // Nothing is left behind: the next call has its instances.
    let (shallow, _runtime) = ring(4);
    shallow.serve_within("front", &guests::front(), of(1));
    shallow.serve_within("math", &guests::back(), of(1));
    assert_eq!(shallow.value(ask(1)).await, number(7));
    for (_, figures) in house.runtime.figures() {
        assert_eq!((figures.busy, figures.ended.deadline), (0, 1));
    }
}

#[tokio::test]
async fn a_chain_back_and_forth_takes_an_instance_for_each_hop() {
    let (house, _runtime) = ring(31);
    house.serve_within("front", &guests::front(), of(14));
    house.serve_within("math", &guests::back(), of(14));
    assert_eq!(house.value(ask(1)).await, number(7));
    let made: Vec<u64> = house
        .runtime
        .figures()
        .iter()
        .map(|(_, figures)| figures.made)
        .collect();
    assert_eq!(made, [14, 14]);
    for (_, figures) in house.runtime.figures() {
        assert_eq!((figures.busy, figures.idle, figures.cold), (0, 14, 14));
        assert!(figures.start_p50_us > 0);
    }
}

#[tokio::test]
async fn beyond_the_engine_s_instances_a_call_is_overloaded_by_name() {
    let permits = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&permits);
    let house = House::new(move |_| {
        let permits = Arc::clone(&waiting);
        Box::pin(async move {
            permits.acquire().await.unwrap().forget();
            Ok(Reply::new(number(7)))
        })
    });
    let most = engine::INSTANCES_MAX as usize;
    let half = most / 2 + 1;
    for handler in ["front", "other"] {
        house.serve_within(handler, &guests::front(), of(engine::INSTANCES_MAX));
    }
    let calls = (0..2 * half).map(|at| {
        let handler = if at % 2 == 0 { "front" } else { "other" };
        house.call(call(handler, FRONT, "ask", 1))
    });
    let releasing = async {
        while house.router.seen.lock().unwrap().len() < most {
            tokio::task::yield_now().await;
        }
        permits.add_permits(most);
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(calls), releasing);
    let errors: Vec<CallError> = answers.into_iter().filter_map(Result::err).collect();
    assert_eq!(errors.len(), 2 * half - most);
    for error in errors {
        assert_eq!(error.code, ErrorCode::Overloaded, "{error}");
        assert!(
            error.message.contains("no room for another instance of `"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn instances_are_made_before_a_call_asks_for_them() {
    let house = House::alone();
    let limits = Limits {
        warm: 2,
        ..Limits::default()
    };
    let tasks = Tasks::new();
    house.runtime.start(&tasks);
    house.serve_within("math", &guests::math(), limits);
    let ready = || house.figures().idle == 2;
    tokio::time::timeout(WATCHDOG, async {
        while !ready() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("they are made");
    assert_eq!(house.value(math("double", 4)).await, number(8));
    let figures = house.figures();
    assert_eq!((figures.made, figures.cold), (2, 0));
    // The one that a trap takes is replaced, and idleness leaves as many as are wanted.
    assert!(house.call(math("trap", 4)).await.is_err());
    tokio::time::timeout(WATCHDOG, async {
        while !ready() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is replaced");
    house.runtime.drop_idle(Instant::now());
    house.runtime.drop_idle(Instant::now() + pool::IDLE_FOR_MAX);
    let figures = house.figures();
    assert_eq!((figures.made, figures.cold, figures.idle), (3, 0, 2));
    tasks.drain(WATCHDOG).await.unwrap();
}
