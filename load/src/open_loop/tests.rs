//! The open loop against servers that stall.

use super::*;
use crate::client::{Failure, Target};
use crate::fake::{Behaviour, Fake};
use crate::scenario::Scenario;
use crate::stop;
use crate::values::Values;

const ONE_PAGE: &str = r#"
timeout = "30s"
[[operations]]
name = "cart"
steps = [{ path = "/cart", status = 200, contains = "here" }]
"#;

async fn plan(url: &str, scenario: &str, rate_per_s: f64, users_max: usize) -> Plan {
    let scenario = Scenario::parse(scenario).unwrap();
    let target = Target::resolve(url).await.unwrap();
    let values = Values::load(&scenario, &target).await.unwrap();
    Plan {
        work: Arc::new(Work {
            target,
            scenario: Arc::new(scenario),
            values: Arc::new(values),
        }),
        seed: 7,
        arrivals: Arrivals::Constant,
        rate_per_s,
        warmup: Duration::from_millis(200),
        duration: Duration::from_secs(1),
        users_max,
        lanes: 2,
        label: "test".to_owned(),
    }
}

async fn run_quietly(plan: &Plan, stop: &Stop) -> Outcome {
    let sink: Sink = Arc::new(|_| {});
    let mut meter = Meter::blind();
    let run = run(plan, &mut meter, stop, &sink);
    tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .expect("a run has an end")
        .unwrap()
}

/// Requests of a histogram that took at least so long.
fn at_least(histogram: &hdrhistogram::Histogram<u64>, limit: Duration) -> u64 {
    histogram.count_between(crate::recorder::nanos(limit), u64::MAX)
}

/// The server holds every answer for a second. At 100 requests a second, 100 were due meanwhile, and half of them
/// felt more than half of it. A generator that waits for answers sees as many slow requests as it has users: eight.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_weighs_what_the_users_felt() {
    let stall = Duration::from_secs(1);
    let fake = Fake::start(Behaviour {
        stall: Some((60, stall)),
        ..Behaviour::default()
    })
    .await;
    let (_handle, stop) = stop::channel();
    let mut plan = plan(&fake.url, ONE_PAGE, 100.0, 8).await;
    plan.duration = Duration::from_secs(3);
    let recorder = run_quietly(&plan, &stop).await.recorder;
    assert_eq!((recorder.requests, recorder.errors), (299, 0));
    let felt = at_least(&recorder.response, stall / 2);
    let as_sent = at_least(&recorder.service, stall / 2);
    assert!(
        felt >= 48,
        "{felt} requests felt half the stall; some 50 were due in its first half"
    );
    assert!(
        (1..=16).contains(&as_sent),
        "{as_sent} requests were under way in the stall, with 8 users"
    );
    assert!(
        recorder.queued >= 80,
        "{} of some 92 waited for a user",
        recorder.queued
    );
    assert!(
        at_least(&recorder.lag, stall / 4) >= 60,
        "what waited for a user was sent late and counted so"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scheduled_operation_is_sent_and_the_warm_up_is_left_out() {
    let fake = Fake::start(Behaviour::default()).await;
    let (_handle, stop) = stop::channel();
    let mut plan = plan(&fake.url, crate::scenario::SHOP, 200.0, 16).await;
    plan.arrivals = Arrivals::Poisson;
    let discovery = fake.requests();
    let outcome = run_quietly(&plan, &stop).await;
    let scenario = &plan.work.scenario;
    let requests = |seed: u64, length: Duration| -> u64 {
        Schedule::new(
            seed,
            plan.arrivals,
            200.0 / scenario.mean_steps(),
            &scenario.weights(),
        )
        .take_while(|arrival| Duration::from_nanos(arrival.at_ns) < length)
        .map(|arrival| scenario.operations[arrival.operation].steps.len() as u64)
        .sum()
    };
    let recorded = requests(plan.seed, plan.duration);
    assert_eq!(outcome.recorder.failures, std::collections::BTreeMap::new());
    assert_eq!(outcome.recorder.requests, recorded);
    assert_eq!(
        fake.requests() - discovery,
        recorded + requests(mix(plan.seed, WARMUP), plan.warmup)
    );
    assert!(!outcome.interrupted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cap_on_users_is_kept() {
    let slow = Behaviour {
        together: Duration::from_millis(30),
        ..Behaviour::default()
    };
    let fake = Fake::start(slow).await;
    let (_handle, stop) = stop::channel();
    let outcome = run_quietly(&plan(&fake.url, ONE_PAGE, 200.0, 4).await, &stop).await;
    assert_eq!(
        fake.state.in_flight_max.load(std::sync::atomic::Ordering::SeqCst),
        4
    );
    assert_eq!(outcome.recorder.requests, 199);
    assert!(outcome.recorder.queued > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_the_run_with_what_ran() {
    let fake = Fake::start(Behaviour::default()).await;
    let (handle, stop) = stop::channel();
    let mut plan = plan(&fake.url, ONE_PAGE, 200.0, 4).await;
    plan.duration = Duration::from_secs(3600);
    let watch = async {
        while fake.requests() < 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        handle.stop();
    };
    let (outcome, ()) = tokio::join!(run_quietly(&plan, &stop), watch);
    assert!(outcome.interrupted && outcome.recorder.requests > 0);
    assert!(
        outcome.seconds < 60.0,
        "only what ran counts, not {} s",
        outcome.seconds
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_counted_by_kind_and_not_timed() {
    let (_handle, stop) = stop::channel();
    let fake = Fake::start(Behaviour {
        fail_every: Some(4),
        ..Behaviour::default()
    })
    .await;
    let recorder = run_quietly(&plan(&fake.url, ONE_PAGE, 100.0, 4).await, &stop)
        .await
        .recorder;
    let failed = recorder.failures[&Failure::Status(500)];
    assert!((24..=26).contains(&failed), "{failed} of 100");
    assert_eq!(recorder.response.len(), recorder.requests - failed);

    let other_body = ONE_PAGE.replace("\"here\"", "\"there\"");
    let recorder = run_quietly(&plan(&fake.url, &other_body, 100.0, 4).await, &stop)
        .await
        .recorder;
    assert!(recorder.failures[&Failure::Body] >= 70);

    let hanging = Behaviour {
        together: Duration::from_secs(3600),
        ..Behaviour::default()
    };
    let fake = Fake::start(hanging).await;
    let impatient = ONE_PAGE.replace("30s", "50ms");
    let recorder = run_quietly(&plan(&fake.url, &impatient, 50.0, 50).await, &stop)
        .await
        .recorder;
    assert_eq!(recorder.failures[&Failure::Timeout], recorder.requests);
    assert_eq!(
        recorder.response.len(),
        recorder.requests,
        "a timeout is a latency"
    );

    // A port that was free a moment ago: nobody listens.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let recorder = run_quietly(&plan(&url, ONE_PAGE, 50.0, 4).await, &stop)
        .await
        .recorder;
    assert_eq!(recorder.failures[&Failure::Connect], recorder.requests);
}
