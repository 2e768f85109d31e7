//! Runs against a fake shop.

use super::*;
use crate::fake::{Behaviour, Fake};
use crate::stop;

fn options(fake: &Fake, server: &str) -> Options {
    Options {
        target: fake.url.clone(),
        server: server.to_owned(),
        scenario: Scenario::shop(),
        arrivals: Arrivals::Poisson,
        users: 16,
        seed: 7,
        thresholds: Vec::new(),
    }
}

async fn run_short(options: &Options) -> anyhow::Result<Report> {
    let (_handle, stop) = stop::channel();
    let sink: Sink = Arc::new(|_| {});
    let (warmup, duration) = (Duration::from_millis(100), Duration::from_millis(500));
    let run = run(options, 100.0, warmup, duration, &stop, &sink);
    tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .expect("a run has an end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_cleave_serves_has_cpu_bytes_and_its_placement() {
    let fake = Fake::start(Behaviour::default()).await;
    let report = run_short(&options(&fake, &fake.url)).await.unwrap();
    let placement = &report.placements[0];
    assert_eq!(
        (placement.name.as_str(), report.sampling.as_str()),
        ("together", "100/s")
    );
    assert!(placement.cpu_seconds_per_request.is_some() && placement.bytes_per_request == Some(0.0));
    assert_eq!(placement.cold_starts, Some(0));
    assert_eq!(
        (placement.errors, report.machine.same_host, report.interrupted),
        (0, true, false)
    );
    assert_eq!(
        placement
            .operations
            .iter()
            .map(|operation| operation.requests)
            .sum::<u64>(),
        placement.requests
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_without_cleave_says_what_is_unknown() {
    let fake = Fake::start(Behaviour::default()).await;
    let report = run_short(&options(&fake, "http://127.0.0.1:1")).await.unwrap();
    let placement = &report.placements[0];
    assert_eq!(
        (placement.cpu_seconds_per_request, placement.bytes_per_request),
        (None, None)
    );
    assert!(report.notes[0].contains("unknown"), "{:?}", report.notes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thresholds_that_are_missed_show_in_the_report() {
    let fake = Fake::start(Behaviour::default()).await;
    let mut options = options(&fake, &fake.url);
    options.thresholds = ["errors<=0", "p50>1h", "apart.p99<1h"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let report = run_short(&options).await.unwrap();
    let held: Vec<bool> = report.thresholds.iter().map(|checked| checked.held).collect();
    assert_eq!(held, [true, false, false]);
}

#[tokio::test]
async fn a_target_that_is_not_there_is_named() {
    let fake = Fake::start(Behaviour::default()).await;
    let mut options = options(&fake, &fake.url);
    options.target = "http://127.0.0.1:1".to_owned();
    let error = format!("{:#}", run_short(&options).await.unwrap_err());
    assert!(
        error.contains("http://127.0.0.1:1") && error.contains("no connection"),
        "{error}"
    );
}
