//! Real processes: small shell scripts in the place of `cleave node`.

use std::path::Path;

use super::*;

const WATCHDOG: Duration = Duration::from_secs(60);

/// Waits until its stdin ends.
const OBEDIENT: &str = "echo 127.0.0.1:4001; cat > /dev/null";

struct Nursery {
    children: Children,
    events: mpsc::Receiver<ChildEvent>,
    tasks: Tasks,
}

fn nursery(script: &str) -> Nursery {
    let program = Program {
        path: PathBuf::from("/bin/sh"),
        args: vec!["-c".to_owned(), script.to_owned()],
    };
    let pace = Pace {
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(4),
        ..Pace::default()
    };
    with_pace(program, pace)
}

fn with_pace(program: Program, pace: Pace) -> Nursery {
    let tasks = Tasks::new();
    let (children, events) = Children::new(program, pace, tasks.clone(), Clock::test(1_000));
    Nursery {
        children,
        events,
        tasks,
    }
}

impl Nursery {
    async fn event(&mut self) -> ChildEvent {
        let event = tokio::time::timeout(WATCHDOG, self.events.recv()).await;
        event.expect("an event comes in time").expect("supervision runs")
    }

    async fn exit(&mut self) -> (u64, String, Option<Duration>) {
        loop {
            if let ChildEvent::Exited {
                incarnation,
                reason,
                again_in,
                ..
            } = self.event().await
            {
                return (incarnation, reason, again_in);
            }
        }
    }
}

fn cart() -> Birth {
    Birth {
        node: NodeName::parse("cart").unwrap(),
        incarnation: 0,
        home: SocketAddr::from(([127, 0, 0, 1], 4_433)),
        authority_pem: "authority".to_owned(),
        certificate_pem: "certificate".to_owned(),
        key_pem: "key".to_owned(),
        cache: PathBuf::from("cache"),
        sockets: PathBuf::new(),
        sampling: "off".to_owned(),
        arguments: false,
    }
}

#[tokio::test]
async fn a_child_runs_until_its_stdin_ends() {
    let mut nursery = nursery(OBEDIENT);
    let child = nursery.children.start(cart()).await.unwrap();
    let status = child.status();
    assert_eq!(status.address, Some(SocketAddr::from(([127, 0, 0, 1], 4_001))));
    assert_eq!((status.incarnation, status.started_unix_ms), (1, 1_000));
    let pid = status.pid.unwrap();
    assert!(crate::placement::usage::of(pid).is_some());
    let started = nursery.event().await;
    assert!(matches!(started, ChildEvent::Started { incarnation: 1, pid: seen, .. } if seen == pid));
    child.stop(Duration::ZERO).await;
    assert_eq!(nursery.exit().await, (1, "exit code 0".to_owned(), None));
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_child_is_told_its_birth_with_its_incarnation() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("birth");
    let nursery = nursery(&format!("echo 127.0.0.1:4001; cat > '{}'", file.display()));
    let child = nursery.children.start(cart()).await.unwrap();
    child.stop(Duration::ZERO).await;
    let written = std::fs::read(file).unwrap();
    let birth = crate::placement::child::read_birth(&mut written.as_slice()).unwrap();
    assert_eq!((birth.incarnation, birth.key_pem.as_str()), (1, "key"));
}

#[tokio::test]
async fn a_child_that_dies_comes_back_as_the_next_incarnation_after_growing_pauses() {
    // It reads its birth before it speaks, as a node does: else home might find the pipe closed.
    let mut nursery = nursery("head -c 4 > /dev/null; echo 127.0.0.1:4001; echo 'out of coins' >&2; exit 3");
    let child = nursery.children.start(cart()).await.unwrap();
    for (incarnation, pause) in [(1, 1), (2, 2), (3, 4), (4, 4)] {
        let started = nursery.event().await;
        assert!(
            matches!(started, ChildEvent::Started { incarnation: seen, .. } if seen == incarnation),
            "{started:?}"
        );
        let reason = "exit code 3, saying `out of coins`".to_owned();
        assert_eq!(
            nursery.exit().await,
            (incarnation, reason, Some(Duration::from_millis(pause)))
        );
    }
    assert!(child.status().last_error.unwrap().starts_with("exit code 3"));
    drop(child);
    assert_eq!(nursery.tasks.drain(WATCHDOG).await, Ok(()));
}

#[tokio::test]
async fn a_killed_child_comes_back_and_is_seen_to_have_been_killed() {
    let mut nursery = nursery(OBEDIENT);
    let child = nursery.children.start(cart()).await.unwrap();
    let pid = child.status().pid.unwrap().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-9", &pid])
        .status()
        .unwrap();
    assert!(killed.success());
    let (incarnation, reason, again_in) = nursery.exit().await;
    assert_eq!((incarnation, reason.as_str()), (1, "killed (signal 9)"));
    assert!(again_in.is_some());
    assert!(matches!(
        nursery.event().await,
        ChildEvent::Started { incarnation: 2, .. }
    ));
    child.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_child_that_comes_back_is_born_with_the_papers_that_it_was_given_last() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("echo 127.0.0.1:4001; exec cat > '{}'/$$", folder.path().display());
    let mut nursery = nursery(&script);
    let child = nursery.children.start(cart()).await.unwrap();
    child.set_papers(Papers {
        authority_pem: "authority".to_owned(),
        certificate_pem: "later certificate".to_owned(),
        key_pem: "later key".to_owned(),
    });
    let killed = std::process::Command::new("kill")
        .args(["-9", &child.status().pid.unwrap().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let pid = loop {
        if let ChildEvent::Started {
            incarnation: 2, pid, ..
        } = nursery.event().await
        {
            break pid;
        }
    };
    child.stop(Duration::from_secs(30)).await;
    let written = std::fs::read(folder.path().join(pid.to_string())).unwrap();
    let birth = crate::placement::child::read_birth(&mut written.as_slice()).unwrap();
    assert_eq!(
        (birth.certificate_pem.as_str(), birth.key_pem.as_str()),
        ("later certificate", "later key")
    );
}

#[tokio::test]
async fn incarnations_grow_from_one_child_of_a_name_to_the_next() {
    let nursery = nursery(OBEDIENT);
    for incarnation in 1..=3 {
        let child = nursery.children.start(cart()).await.unwrap();
        assert_eq!(child.status().incarnation, incarnation);
        child.stop(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_child_that_ends_by_itself_in_its_grace_is_not_started_again() {
    let mut nursery = nursery("echo 127.0.0.1:4001; read -r one; exit 7");
    let child = nursery.children.start(cart()).await.unwrap();
    // `read` returns at the end of stdin, which comes after the grace.
    child.stop(Duration::from_millis(10)).await;
    let (_, reason, again_in) = nursery.exit().await;
    assert_eq!((reason.as_str(), again_in), ("exit code 7", None));
    assert_eq!(nursery.tasks.drain(WATCHDOG).await, Ok(()));
    assert!(nursery.events.try_recv().is_err());
}

#[tokio::test]
async fn a_child_that_does_not_heed_the_end_of_its_stdin_is_killed() {
    let program = Program {
        path: PathBuf::from("/bin/sh"),
        args: vec!["-c".to_owned(), "echo 127.0.0.1:4001; exec sleep 1000".to_owned()],
    };
    let pace = Pace {
        kill_after: Duration::from_millis(20),
        ..Pace::default()
    };
    let mut nursery = with_pace(program, pace);
    let child = nursery.children.start(cart()).await.unwrap();
    child.stop(Duration::from_millis(1)).await;
    assert_eq!(nursery.exit().await.1, "killed (signal 9)");
}

#[tokio::test]
async fn dropping_a_child_or_cancelling_everything_ends_its_process() {
    let mut nursery = nursery(OBEDIENT);
    let first = nursery.children.start(cart()).await.unwrap();
    drop(first);
    assert_eq!(nursery.exit().await.2, None);
    let second = nursery.children.start(cart()).await.unwrap();
    let pid = second.status().pid.unwrap();
    assert_eq!(nursery.tasks.drain(WATCHDOG).await, Ok(()));
    assert!(second.status().ended);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_start_that_is_dropped_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let nursery = nursery(&format!("echo $$ > '{}'; exec cat > /dev/null", file.display()));
    let start = nursery.children.start(cart());
    let written = async {
        while !std::fs::read_to_string(&file).is_ok_and(|pid| pid.ends_with('\n')) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = start => panic!("a child that says nothing has started"),
        written = tokio::time::timeout(WATCHDOG, written) => written.unwrap(),
    }
    assert_eq!(nursery.tasks.drain(WATCHDOG).await, Ok(()));
    let pid = std::fs::read_to_string(&file).unwrap();
    let gone = async {
        // Dropped processes are killed at once and reaped by the runtime a moment later.
        while crate::placement::usage::of(pid.trim().parse().unwrap()).is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WATCHDOG, gone).await.unwrap();
}

#[tokio::test]
async fn a_first_start_that_fails_says_why_and_is_not_tried_again() {
    let cases = [
        (
            "echo 'port in use' >&2; exit 9",
            "ended before it listened: exit code 9, saying `port in use`",
        ),
        (
            "echo hello; cat > /dev/null",
            "said `hello` where it should say its address; is it the same version of `cleave`?",
        ),
    ];
    for (script, reason) in cases {
        let mut nursery = nursery(script);
        let error = nursery.children.start(cart()).await.unwrap_err();
        assert_eq!(error.to_string(), reason);
        assert_eq!(nursery.tasks.drain(WATCHDOG).await, Ok(()));
        assert!(nursery.events.try_recv().is_err());
    }
}

#[tokio::test]
async fn a_child_that_says_nothing_is_given_up() {
    let program = Program {
        path: PathBuf::from("/bin/sh"),
        args: vec!["-c".to_owned(), "cat > /dev/null".to_owned()],
    };
    let limit = Duration::from_millis(50);
    let pace = Pace {
        announce_limit: limit,
        ..Pace::default()
    };
    let nursery = with_pace(program, pace);
    let error = nursery.children.start(cart()).await.unwrap_err();
    assert_eq!(error, Error::Silent { limit });
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let program = Program {
        path: PathBuf::from("/nowhere/cleave"),
        args: Vec::new(),
    };
    let nursery = with_pace(program, Pace::default());
    let error = nursery.children.start(cart()).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot run `/nowhere/cleave`: "), "{error}");
}

#[tokio::test]
async fn a_child_killed_by_hand_dies_as_in_a_crash_and_comes_back() {
    let mut nursery = nursery(OBEDIENT);
    let child = nursery.children.start(cart()).await.unwrap();
    assert!(child.kill());
    let (incarnation, reason, again_in) = nursery.exit().await;
    assert_eq!(
        (incarnation, reason.as_str()),
        (1, "killed by hand (killed (signal 9))")
    );
    assert!(again_in.is_some());
    assert!(matches!(
        nursery.event().await,
        ChildEvent::Started { incarnation: 2, .. }
    ));
    drop(child);
    assert_eq!(nursery.tasks.drain(WATCHDOG).await, Ok(()));
}
