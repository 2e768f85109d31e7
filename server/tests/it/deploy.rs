//! Files that come, change and go, good and bad; hostile handlers among neighbours.

use http::Method;
use protocol::api::handlers::{Handler, HandlerState};
use serde_json::{Value, json};

use crate::support::{Home, Req, cleave, component, read_component, wait_for};

const HELLO: &str = "example:hello/greeter";

/// What a person is told about a handler that is not served.
fn rejection(handler: &Handler) -> String {
    match &handler.state {
        HandlerState::Rejected { reason, remedy } => {
            assert!(!reason.is_empty() && !remedy.is_empty(), "{handler:?}");
            format!("{reason}; {remedy}")
        }
        other => panic!("`{}` is {other:?}", handler.name),
    }
}

fn wait_rejected(home: &Home, name: &str) -> String {
    let is_rejected = |handler: &Handler| matches!(handler.state, HandlerState::Rejected { .. });
    rejection(&home.wait_handler(name, "rejected", is_rejected))
}

fn greeting(home: &Home) -> Value {
    home.call(HELLO, "greet", &json!(["Ada"])).expect::<Value>()["result"].clone()
}

#[test]
fn a_file_that_comes_is_served_and_one_that_goes_is_not() {
    let home = Home::with(&[]).start();
    assert_eq!(home.handlers(), []);
    assert_eq!(
        home.call(HELLO, "greet", &json!(["Ada"])).problem(404).code,
        "not-found"
    );
    home.drop_in("hello", "examples/hello");
    let handler = home.wait_serving("hello");
    assert_eq!(greeting(&home), json!("Hello, Ada!"));
    assert_eq!(handler.exports[0].interface.unversioned(), HELLO);
    assert!(
        handler.version.len() == 12 && handler.size_bytes > 0,
        "{handler:?}"
    );

    // The same name is a new version.
    std::fs::copy(component("currency"), home.folder().join("hello.wasm")).expect("the folder takes a file");
    let newer = home.wait_handler("hello", "another version", |newer| {
        newer.version != handler.version && newer.state == HandlerState::Serving
    });
    assert_eq!(newer.exports[0].interface.unversioned(), "shop:currency/currency");

    std::fs::remove_file(home.folder().join("hello.wasm")).expect("the file goes");
    wait_for("`hello` to be gone", || {
        let handlers = home.handlers();
        if handlers.is_empty() {
            Ok(())
        } else {
            Err(format!("{handlers:?}"))
        }
    });
}

#[test]
fn handlers_are_put_and_deleted() {
    let home = Home::with(&[]).start();
    let put = |name: &str, body: Vec<u8>| {
        let path = format!("/api/v1/handlers/{name}");
        home.api
            .send(Req::new(Method::PUT, &path).body("application/wasm", body))
    };
    let handler: Handler = put("hello", read_component("examples/hello")).expect();
    assert_eq!(handler.state, HandlerState::Serving);
    // The answer is the outcome: it serves without waiting.
    assert_eq!(greeting(&home), json!("Hello, Ada!"));
    assert!(
        home.folder().join("hello.wasm").exists(),
        "the folder is the truth"
    );
    let detail: Value = home.api.get("/api/v1/handlers/hello");
    assert!(
        detail["wit"].as_str().is_some_and(|wit| wit.contains("greet")),
        "{detail}"
    );

    let problem = put("hello", b"no component".to_vec()).problem(422);
    assert_eq!(problem.code, "handler-rejected");
    assert!(problem.detail.contains("text"), "{problem:?}");
    assert_eq!(
        greeting(&home),
        json!("Hello, Ada!"),
        "the version before it serves on"
    );
    // A bad file in the folder has its say no longer than it stands there.
    std::fs::write(home.folder().join("letter.wasm"), "a letter").expect("a file is written");
    wait_rejected(&home, "letter");
    let mended: Handler = put("letter", read_component("currency")).expect();
    assert_eq!(mended.state, HandlerState::Serving);
    assert_eq!(
        put("queue", read_component("examples/hello")).problem(422).code,
        "handler-rejected"
    );
    assert_eq!(
        put("Hello", read_component("examples/hello")).problem(400).code,
        "invalid"
    );

    let delete = |name: &str| {
        home.api
            .send(Req::new(Method::DELETE, &format!("/api/v1/handlers/{name}")))
    };
    assert_eq!(delete("hello").status.as_u16(), 204);
    assert!(!home.folder().join("hello.wasm").exists());
    assert_eq!(
        home.call(HELLO, "greet", &json!(["Ada"])).problem(404).code,
        "not-found"
    );
    assert_eq!(delete("hello").problem(404).code, "not-found");
}

#[test]
fn a_bad_file_is_rejected_with_its_reason_and_the_rest_serves() {
    let home = Home::with(&["examples/hello"]).start();
    let drop = |name: &str, bytes: &[u8]| {
        std::fs::write(home.folder().join(name), bytes).expect("a file is written")
    };
    let whole = read_component("currency");
    drop("text.wasm", b"This is a letter, not a component.\n");
    drop("cut.wasm", &whole[..whole.len() / 2]);
    drop("empty.wasm", b"");
    drop("compiled.wasm", b"\x7fELF\x02\x01\x01\0 and so on");
    drop("module.wasm", b"\0asm\x01\0\0\0");
    for (name, says) in [
        ("text", "text, not a WebAssembly component"),
        ("cut", "cut short"),
        ("empty", "empty"),
        ("compiled", "`.cwasm`"),
        ("module", "core module without component metadata"),
    ] {
        let reason = wait_rejected(&home, name);
        assert!(
            reason.contains(says),
            "`{name}`: `{reason}` does not say `{says}`"
        );
    }
    assert_eq!(greeting(&home), json!("Hello, Ada!"));

    // Files that no handler can be called like are listed as well, and told by their own names.
    drop("home.wasm", &whole);
    drop("No_Name.wasm", &whole);
    drop("hello.cwasm", b"\x7fELF\x02\x01\x01\0 and so on");
    for (name, file, says) in [
        ("home-2", "home.wasm", "name of the platform"),
        ("no-name", "No_Name.wasm", "gives no handler name"),
        ("hello-2", "hello.cwasm", "never loaded from a folder"),
    ] {
        let reason = wait_rejected(&home, name);
        assert!(reason.contains(says), "`{file}`: `{reason}`");
        let handlers = home.handlers();
        let listed = handlers.iter().find(|handler| handler.name.as_str() == name);
        assert_eq!(listed.and_then(|listed| listed.file.as_deref()), Some(file));
        let ls = cleave(&["ls", "--server", &home.url()]).ok();
        assert!(ls.stdout.contains(file), "{}", ls.stdout);
        std::fs::remove_file(home.folder().join(file)).expect("the file goes");
        wait_for(&format!("`{file}` to be gone"), || {
            let handlers = home.handlers();
            match handlers
                .iter()
                .find(|handler| handler.file.as_deref() == Some(file))
            {
                None => Ok(()),
                Some(listed) => Err(format!("{listed:?}")),
            }
        });
        assert_eq!(greeting(&home), json!("Hello, Ada!"), "its neighbour serves on");
    }

    // A newer file that is rejected leaves the one before it serving, with a warning.
    drop("hello.wasm", b"oops");
    let handler = home.wait_handler("hello", "warned of", |handler| !handler.warnings.is_empty());
    assert_eq!(handler.state, HandlerState::Serving);
    assert!(handler.warnings[0].contains("text"), "{:?}", handler.warnings);
    assert_eq!(greeting(&home), json!("Hello, Ada!"));
    home.drop_in("text", "currency");
    home.wait_serving("text");
}

#[test]
fn a_handler_waits_for_whom_it_imports() {
    let home = Home::with(&["recommendation"]).start();
    let waiting = home.wait_handler("recommendation", "waiting", |handler| {
        matches!(handler.state, HandlerState::Waiting { .. })
    });
    let HandlerState::Waiting { on } = &waiting.state else {
        unreachable!("it was asked for")
    };
    let on: Vec<_> = on.iter().map(|interface| interface.unversioned()).collect();
    assert_eq!(on, ["shop:catalog/catalog"]);
    let recommend = || {
        home.call(
            "shop:recommendation/recommendation",
            "list-recommendations",
            &json!([["storm-kettle"]]),
        )
    };
    assert!(!recommend().status.is_success(), "nobody can answer yet");

    home.drop_in("catalog", "catalog");
    let served = home.wait_serving("recommendation");
    let import = served
        .imports
        .iter()
        .find(|import| import.interface.unversioned() == "shop:catalog/catalog");
    assert_eq!(
        import
            .and_then(|import| import.served_by.as_ref())
            .map(|name| name.as_str()),
        Some("catalog")
    );
    let answer: Value = recommend().expect();
    assert!(
        answer["result"]["ok"]
            .as_array()
            .is_some_and(|ids| !ids.is_empty()),
        "{answer}"
    );

    std::fs::remove_file(home.folder().join("catalog.wasm")).expect("the file goes");
    home.wait_handler("recommendation", "waiting again", |handler| {
        matches!(handler.state, HandlerState::Waiting { .. })
    });
}

#[test]
fn a_version_that_does_not_fit_its_callers_is_refused_and_the_one_before_it_serves() {
    let home = Home::with(&["catalog", "recommendation"]).start();
    let before = home.wait_serving("catalog");
    for placement in ["together", "apart"] {
        home.place(&json!({ "mode": placement }));
        home.drop_in("catalog", "currency");
        let refused = home
            .wait_handler("catalog", "refused", |handler| handler.refused.is_some())
            .refused
            .expect("it was asked for");
        for says in ["shop:catalog/catalog.list-products", "gone", "`recommendation`"] {
            assert!(
                refused.reason.contains(says),
                "`{}` does not say `{says}`",
                refused.reason
            );
        }
        assert!(refused.remedy.contains("`recommendation`"), "{refused:?}");
        assert!(refused.version.is_some_and(|version| version != before.version));
        let serving = home.wait_serving("catalog");
        assert_eq!(serving.version, before.version);
        assert!(
            serving.warnings[0].contains("a newer file is rejected"),
            "{serving:?}"
        );
        let answer: Value = home
            .call("shop:catalog/catalog", "list-products", &json!([]))
            .expect();
        assert!(answer["result"]["ok"].is_array(), "{answer}");
        let ls = cleave(&["ls", "--server", &home.url()]).ok();
        assert!(ls.stdout.contains("newer file refused"), "{}", ls.stdout);
        assert!(ls.stdout.contains("catalog.list-products"), "{}", ls.stdout);

        // What serves is put back into its place.
        home.drop_in("catalog", "catalog");
        home.wait_handler("catalog", "at peace", |handler| handler.refused.is_none());
    }
    let upload = Req::new(Method::PUT, "/api/v1/handlers/catalog");
    let answer = home
        .api
        .send(upload.body("application/wasm", read_component("currency")));
    let problem = answer.problem(422);
    assert!(problem.detail.contains("catalog.list-products"), "{problem:?}");
    let kept = std::fs::read(home.folder().join("catalog.wasm")).expect("the file is there");
    assert_eq!(
        kept,
        read_component("catalog"),
        "a refused upload leaves the folder as it is"
    );
}

#[test]
fn of_two_that_export_one_interface_the_first_by_name_serves_it() {
    let home = Home::with(&["examples/hello"]).start();
    home.drop_in("zweite", "examples/hello");
    let second = home.wait_serving("zweite");
    let shadowed_by = |handler: &Handler| {
        handler.exports[0]
            .shadowed_by
            .as_ref()
            .map(|name| name.to_string())
    };
    assert_eq!(shadowed_by(&second).as_deref(), Some("hello"));
    assert_eq!(shadowed_by(&home.wait_serving("hello")), None);
    let by_name: Value = home
        .call(&format!("zweite@{HELLO}"), "greet", &json!(["Ada"]))
        .expect();
    assert_eq!(by_name["result"], json!("Hello, Ada!"));
    let calls = |name: &str| home.wait_serving(name).figures.calls;
    let before = (calls("hello"), calls("zweite"));
    greeting(&home);
    assert_eq!((calls("hello"), calls("zweite")), (before.0 + 1, before.1));

    std::fs::remove_file(home.folder().join("hello.wasm")).expect("the file goes");
    home.wait_handler("zweite", "out of the shadow", |handler| {
        shadowed_by(handler).is_none()
    });
    assert_eq!(greeting(&home), json!("Hello, Ada!"));
}

#[test]
fn a_hostile_handler_fails_its_own_call_and_no_other() {
    let guests = [
        "guests/hostile-trap",
        "guests/hostile-spin",
        "guests/hostile-memory",
        "examples/hello",
    ];
    let home = Home::with(&guests).start();
    for placement in ["together", "apart"] {
        home.place(&json!({ "mode": placement }));
        std::thread::scope(|scope| {
            let spinning = scope.spawn(|| {
                home.call_within("hostile:guests/spin", "forever", &json!([]), Some(500))
                    .problem(504)
            });
            let check = |interface: &str, function: &str, args: Value, says: &str| {
                let problem = home.call(interface, function, &args).problem(502);
                assert_eq!(problem.code, "trapped", "{placement}: {problem:?}");
                assert!(problem.detail.contains(says), "{placement}: {problem:?}");
                assert_eq!(
                    greeting(&home),
                    json!("Hello, Ada!"),
                    "{placement}: after {function}"
                );
            };
            check(
                "hostile:guests/trap",
                "panic",
                json!(["the cat sat on it"]),
                "the cat sat on it",
            );
            check("hostile:guests/trap", "read-nowhere", json!([]), "out of bounds");
            check("hostile:guests/trap", "exhaust-stack", json!([]), "stack");
            check(
                "hostile:guests/memory",
                "take",
                json!([1_u64 << 30]),
                "hostile-memory",
            );
            let taken: Value = home
                .call("hostile:guests/memory", "take-all", &json!([]))
                .expect();
            let bytes = taken["result"].as_u64().expect("a number of bytes");
            assert!(
                bytes < 64 << 20,
                "{placement}: {bytes} bytes are beyond its limit"
            );
            let problem = spinning.join().expect("the call ends");
            assert_eq!(problem.code, "deadline", "{placement}: {problem:?}");
            assert!(
                problem.detail.contains("hostile:guests/spin"),
                "{placement}: {problem:?}"
            );
        });
        // What trapped is not called again: the next instance begins anew.
        let count: Value = home.call("hostile:guests/trap", "count", &json!([])).expect();
        assert_eq!(count["result"], json!(1), "{placement}");
    }
}
