//! Starting and stopping: what is refused, and what Ctrl-C leaves behind.

use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Home, Ran, children_of, cleave_in, is_alive, wait_for};

/// Starts where it must fail.
fn refused(directory: &Path, arguments: &[&str]) -> Ran {
    let free = [
        "up",
        "--ui",
        "127.0.0.1:0",
        "--ingress",
        "127.0.0.1:0",
        "--data",
        "data",
    ];
    let ran = cleave_in(directory, &[&free[..], arguments].concat()).failed(1);
    assert_eq!(ran.stdout, "", "what is wrong goes to stderr");
    ran
}

#[track_caller]
fn says(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(
            ran.stderr.contains(word),
            "`{word}` is not said in:\n{}",
            ran.stderr
        );
    }
}

#[test]
fn every_problem_of_the_rules_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let rules = "[placement]\nmod = \"apart\"\n\n[handler.cart]\nmemory = \"64 mice\"\n\n[ingres]\nroot = \"frontend\"\n\n\
                 [edge.\"checkout -> shop:email/email\"]\nvia = \"queue\"\ntries = 0\n";
    std::fs::write(directory.path().join("cleave.toml"), rules).unwrap();
    let ran = refused(directory.path(), &["--config", "cleave.toml"]);
    says(
        &ran,
        &[
            "4 problems",
            "`placement.mod`",
            "did you mean `mode`?",
            "64 mice",
            "did you mean `ingress`?",
            "tries",
        ],
    );
    says(&ran, &["line 2", "line 5", "line 7", "line 12"]);
    assert!(!directory.path().join("data").exists(), "nothing was begun");
}

#[test]
fn what_is_not_there_or_not_possible_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    says(
        &refused(directory.path(), &["--config", "no-such.toml"]),
        &["no-such.toml"],
    );
    says(
        &refused(directory.path(), &["--placement", "appart"]),
        &["appart", "together", "apart"],
    );
    // A file where the directory should be: not even root can write into it.
    std::fs::write(directory.path().join("data"), "in the way").unwrap();
    says(
        &refused(directory.path(), &[]),
        &["`data`", "cannot be written", "--data"],
    );
}

#[test]
fn a_port_that_is_taken_is_named_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--ui", "--ingress"] {
        let other = if flag == "--ui" { "--ingress" } else { "--ui" };
        let arguments = ["up", "--data", "data", other, "127.0.0.1:0", flag, &address];
        let ran = cleave_in(directory.path(), &arguments).failed(1);
        says(&ran, &[&address, flag]);
    }
    let abroad = cleave_in(directory.path(), &["up", "--data", "data", "--ui", "192.0.2.1:0"]).failed(1);
    says(&abroad, &["192.0.2.1", "loopback"]);
}

#[test]
fn a_data_directory_has_one_home_and_one_version() {
    let mut home = Home::with(&["examples/hello"]).start();
    let ran = refused(home.data().parent().unwrap(), &[]);
    says(&ran, &["already running", &format!("pid {}", home.pid())]);
    let greeting: Value = home
        .call("example:hello/greeter", "greet", &json!(["Ada"]))
        .expect();
    assert_eq!(
        greeting["result"],
        json!("Hello, Ada!"),
        "the first one never noticed"
    );

    let (status, _) = home.interrupt();
    assert!(status.success(), "{status}");
    let names = ["queue.db", "traces.db", "state.db"];
    let all_are_closed = |when: &str| {
        for name in names {
            let log = home.data().join(format!("{name}-wal"));
            assert!(!log.exists(), "`{name}` was closed in order {when}");
        }
    };
    all_are_closed("by Ctrl-C");
    for name in names {
        let path = home.data().join(name);
        let written = std::fs::read(&path).unwrap();
        // SQLite keeps `user_version` at byte 60 of the file.
        let mut newer = written.clone();
        newer[60..64].copy_from_slice(&2_099_010_100_u32.to_be_bytes());
        std::fs::write(&path, newer).unwrap();
        let ran = refused(home.data().parent().unwrap(), &[]);
        says(&ran, &[name, "newer version", "2099010100"]);
        all_are_closed("by the start that was refused");
        std::fs::write(&path, written).unwrap();
    }
    home.start_again();
}

#[test]
fn a_rule_that_cannot_be_followed_is_told_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("data/handlers");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["catalog", "recommendation"] {
        std::fs::copy(
            crate::support::component(name),
            folder.join(format!("{name}.wasm")),
        )
        .unwrap();
    }
    let rules = "[edge.\"recommendation -> shop:catalog/catalog\"]\nvia = \"queue\"\n\n\
                 [handler.recommendation]\naffinity = \"product-id\"\n";
    std::fs::write(directory.path().join("cleave.toml"), rules).unwrap();
    let ran = refused(directory.path(), &["--config", "cleave.toml"]);
    says(
        &ran,
        &["recommendation -> shop:catalog/catalog", "list-products", "queue"],
    );
    says(
        &ran,
        &["handler.recommendation.affinity", "did you mean `product-ids`?"],
    );
}

#[test]
fn handlers_that_nobody_has_are_told_at_the_start_with_all_else() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("data/handlers");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["catalog", "recommendation"] {
        let file = folder.join(format!("{name}.wasm"));
        std::fs::copy(crate::support::component(name), file).unwrap();
    }
    // A file that is rejected has its name all the same.
    std::fs::write(folder.join("letter.wasm"), "dear").unwrap();
    let rules = "[placement]\nmode = \"groups\"\ngroups = [[\"catalogue\", \"letter\"]]\n\n[handler.letter]\n\
                 memory = \"2MiB\"\n\n[edge.\"recommendation -> shop:catalog/catalog\"]\nvia = \"queue\"\n\n\
                 [ingress]\nroot = \"frontend\"\n";
    std::fs::write(directory.path().join("cleave.toml"), rules).unwrap();
    let ran = refused(directory.path(), &["--config", "cleave.toml"]);
    says(
        &ran,
        &[
            "3 problems",
            "line 3: `placement.groups` = \"catalogue\": no handler is called `catalogue`",
            "put `catalogue.wasm` into `data/handlers` or take this out; did you mean `catalog`?",
            "line 8",
            "list-products",
            "line 12: `ingress.root` = \"frontend\"",
        ],
    );
    let groups = "[placement]\nmode = \"groups\"\ngroups = [[\"recomendation\"]]\n";
    std::fs::write(directory.path().join("groups.toml"), groups).unwrap();
    std::fs::write(directory.path().join("cleave.toml"), "").unwrap();
    let ran = refused(directory.path(), &["--placement", "groups.toml"]);
    says(
        &ran,
        &[
            "`--placement`",
            "`recomendation`",
            "did you mean `recommendation`?",
        ],
    );
}

#[test]
fn a_handler_that_the_rules_name_may_go_while_home_runs() {
    let rules = "[handler.hello]\ntimeout = \"2s\"\n\n[ingress]\nroot = \"hello\"\n";
    let mut home = Home::with(&["examples/hello"]).rules(rules).start();
    std::fs::remove_file(home.folder().join("hello.wasm")).unwrap();
    wait_for("`hello` to be gone", || match home.handlers() {
        handlers if handlers.is_empty() => Ok(()),
        handlers => Err(format!("{handlers:?}")),
    });
    home.drop_in("hello", "examples/hello");
    home.wait_serving("hello");
    let (status, log) = home.interrupt();
    assert!(status.success(), "{status}: {log:?}");
}

#[test]
fn ctrl_c_finishes_what_was_accepted_and_leaves_no_child() {
    let mut home = Home::with(&["guests/hostile-spin", "examples/hello"])
        .placement("apart")
        .start();
    let children = children_of(home.pid());
    assert_eq!(children.len(), 2);
    home.wait_serving("hostile-spin");
    let api = home.api.clone();
    let work = std::thread::spawn(move || {
        let path = "/api/v1/call/hostile:guests/spin/steps";
        let body = json!({"args": [300], "timeout_ms": 60_000});
        api.send(crate::support::Req::new(http::Method::POST, path).json(&body))
    });
    wait_for("the call to be in progress", || {
        let handler = home.wait_serving("hostile-spin");
        let is_begun = handler.figures.instances_busy > 0 || work.is_finished();
        if is_begun {
            Ok(())
        } else {
            Err(format!("{:?}", handler.figures))
        }
    });
    let (status, log) = home.interrupt();
    assert_eq!(status.code(), Some(0), "{log:?}");
    assert!(log.iter().any(|line| line.contains("draining")), "{log:?}");
    let answer: Value = work.join().expect("the answer came").expect();
    assert!(
        answer["result"].is_u64() || answer["result"].is_string(),
        "{answer}"
    );
    wait_for("the children to end", || {
        let alive: Vec<_> = children.iter().filter(|pid| is_alive(**pid)).collect();
        if alive.is_empty() {
            Ok(())
        } else {
            Err(format!("{alive:?} live on"))
        }
    });
}
