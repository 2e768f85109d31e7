//! The whole comparison against a fake shop and a fake API.

use std::sync::Mutex;

use super::*;
use crate::fake::{Behaviour, Fake};
use crate::run::USERS;
use crate::scenario::Scenario;
use crate::schedule::Arrivals;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A comparison of a second or two.
fn compare(fake: &Fake) -> Compare {
    Compare {
        options: Options {
            target: fake.url.clone(),
            server: fake.url.clone(),
            scenario: Scenario::shop(),
            arrivals: Arrivals::Poisson,
            users: 8,
            seed: 7,
            thresholds: Vec::new(),
        },
        sides: vec![side(Mode::Together), side(Mode::Apart)],
        rate_per_s: None,
        budget: MS(100),
        pace: Pace {
            capacity_warmup: MS(50),
            capacity: MS(300),
            switch_warmup: MS(150),
            block_warmup: MS(50),
            block_min: MS(1200),
            rounds_min: 6,
            rounds_max: 6,
        },
    }
}

fn side(mode: Mode) -> Side {
    Side {
        name: mode_name(mode).to_owned(),
        placement: Placement {
            mode,
            ..Placement::default()
        },
    }
}

fn slower_apart() -> Behaviour {
    Behaviour {
        together: MS(1),
        apart: MS(40),
        ..Behaviour::default()
    }
}

async fn run_with(compare: &Compare, stop: &Stop, sink: &Sink) -> anyhow::Result<Report> {
    tokio::time::timeout(Duration::from_secs(120), run(compare, stop, sink))
        .await
        .expect("a comparison has an end")
}

fn quiet() -> Sink {
    Arc::new(|_| {})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_difference_is_found_and_the_placement_restored() {
    let fake = Fake::start(slower_apart()).await;
    let (_handle, stop) = stop::channel();
    let phases = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&phases);
    let sink: Sink = Arc::new(move |event| {
        if let Event::Phase(text) = event {
            told.lock().unwrap().push(text.clone());
        }
    });
    let report = run_with(&compare(&fake), &stop, &sink).await.unwrap();

    let [together, apart] = report.placements.as_slice() else {
        panic!("two placements: {report:#?}")
    };
    assert_eq!(
        (together.name.as_str(), apart.name.as_str()),
        ("together", "apart")
    );
    assert_eq!(
        (together.errors, apart.errors),
        (0, 0),
        "{:?} {:?}",
        together.errors_by_kind,
        apart.errors_by_kind
    );
    // 8 users with 40 ms for each answer: 200 requests a second at most, and for each user one that was under way when the
    // 300 ms began; half of it is the rate.
    let capacity = apart.capacity_per_s.unwrap();
    let most = 200.0 + 8.0 / 0.3;
    assert!(
        capacity <= most && together.capacity_per_s.unwrap() > capacity,
        "{capacity}"
    );
    assert!((report.rate_per_s - capacity / 2.0).abs() < 1e-6);
    assert_eq!(report.rounds, 6);
    assert_eq!(
        together.requests, apart.requests,
        "both sides run the same schedules"
    );

    let p50 = report.comparisons[0].of("p50").unwrap();
    assert_eq!(p50.answer, "together better", "{p50:?}");
    assert!(together.cpu_seconds_per_request.is_some());
    assert_eq!(together.bytes_per_request, Some(0.0));
    // 500 bytes for each request, with those of the last warm-up still on their way at a block's start.
    let bytes = apart.bytes_per_request.unwrap();
    assert!((400.0..=700.0).contains(&bytes), "{bytes}");
    assert_eq!(report.sampling, "100/s");

    let puts = fake.puts();
    assert_eq!(
        fake.state.puts.lock().unwrap().last(),
        Some(&Mode::Together),
        "{puts:?}"
    );
    // Two for the capacities, at most one for each of the six rounds and the start, one to restore.
    assert!(puts.len() <= 10, "{puts:?}");
    assert!(puts.windows(2).all(|pair| pair[0] != pair[1]), "{puts:?}");
    assert!(
        phases
            .lock()
            .unwrap()
            .iter()
            .any(|phase| phase.contains("capacity"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_given_rate_needs_no_capacity() {
    let fake = Fake::start(slower_apart()).await;
    let (_handle, stop) = stop::channel();
    let mut compare = compare(&fake);
    compare.rate_per_s = Some(60.0);
    compare.pace.block_min = MS(200);
    compare.options.users = USERS;
    let report = run_with(&compare, &stop, &quiet()).await.unwrap();
    assert!((report.rate_per_s - 60.0).abs() < 1e-9);
    assert!(
        report
            .placements
            .iter()
            .all(|placement| placement.capacity_per_s.is_none() && placement.requests > 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_restores_the_placement_and_reports_what_ran() {
    let fake = Fake::start(slower_apart()).await;
    let (handle, stop) = stop::channel();
    let mut compare = compare(&fake);
    compare.rate_per_s = Some(100.0);
    compare.options.seed = seed_that_starts_apart();
    compare.pace.block_min = Duration::from_secs(3600);
    let watch = async {
        while fake.requests() < 40 {
            tokio::time::sleep(MS(5)).await;
        }
        handle.stop();
    };
    let quiet = quiet();
    let (report, ()) = tokio::join!(run_with(&compare, &stop, &quiet), watch);
    let report = report.unwrap();
    assert!(report.interrupted);
    assert_eq!(fake.puts(), [Mode::Apart, Mode::Together]);
    assert!(
        report.notes.iter().any(|note| note.contains("too few")),
        "{:?}",
        report.notes
    );
}

fn seed_that_starts_apart() -> u64 {
    (0..100)
        .find(|seed| blocks::order(1, 2, *seed, None)[0].side == 1)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_fails_ends_the_comparison_and_the_placement_is_restored() {
    let broken = Behaviour {
        apart: MS(1),
        fail_every: Some(1),
        ..Behaviour::default()
    };
    let fake = Fake::start(broken).await;
    let (_handle, stop) = stop::channel();
    let mut compare = compare(&fake);
    // The pages fail, so the products cannot be discovered; a scenario without them meets the failure later.
    compare.options.scenario =
        Scenario::parse("[[operations]]\nname = \"cart\"\nsteps = [{ path = \"/cart\" }]").unwrap();
    compare.sides.reverse();
    let error = run_with(&compare, &stop, &quiet()).await.unwrap_err();
    assert!(format!("{error:#}").contains("status 500"), "{error:#}");
    assert_eq!(fake.puts(), [Mode::Apart, Mode::Together]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let fake = Fake::start(Behaviour::default()).await;
    let mut compare = compare(&fake);
    compare.options.server = "http://127.0.0.1:1".to_owned();
    let (_handle, stop) = stop::channel();
    let error = run_with(&compare, &stop, &quiet()).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("http://127.0.0.1:1") && text.contains("cleave up"),
        "{text}"
    );
}

#[tokio::test]
async fn a_placement_that_never_settles_can_be_stopped() {
    let fake = Fake::start(Behaviour {
        never_settles: true,
        ..Behaviour::default()
    })
    .await;
    let mut api = Api::resolve(&fake.url).await.unwrap();
    let apart = side(Mode::Apart).placement;
    let (handle, stop) = stop::channel();
    let error = api.place(&apart, MS(200), &stop).await.unwrap_err();
    assert!(error.to_string().contains("not in force after 200ms"), "{error}");
    handle.stop();
    assert!(!api.place(&apart, Duration::from_secs(3600), &stop).await.unwrap());
}

#[test]
fn a_side_is_read_with_or_without_its_section() {
    let bare = Side::parse("pairs", "mode = \"groups\"\ngroups = [[\"cart\", \"checkout\"]]").unwrap();
    let sectioned =
        "[placement]\nmode = \"groups\"\ngroups = [[\"cart\", \"checkout\"]]\n[ingress]\nroot = \"frontend\"";
    assert_eq!(Side::parse("pairs", sectioned).unwrap(), bare);
    assert_eq!(
        (bare.placement.mode, bare.placement.groups[0].len()),
        (Mode::Groups, 2)
    );
    assert!(
        Side::parse("x", "mode = \"sideways\"")
            .unwrap_err()
            .contains("`x` is not a placement")
    );
}
