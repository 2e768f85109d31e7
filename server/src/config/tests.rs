//! The file as users write it: what it means, and everything that can be wrong with it.

use protocol::control::InstancePolicy;

use super::*;

const EXAMPLE: &str = include_str!("../../../examples/cleave.toml");
const SHOP: &str = include_str!("../../../cleave.toml");

fn handler(name: &str) -> HandlerName {
    HandlerName::parse(name).unwrap()
}

fn interface(name: &str) -> InterfaceName {
    InterfaceName::parse(name).unwrap()
}

/// The rule for calls from a handler to an interface.
fn edge(config: &Config, caller: &str, called: &InterfaceName) -> EdgeRule {
    let mut rules = config.edges.iter();
    let found = rules.find(|(name, _)| name.caller.as_str() == caller && stands_for(&name.interface, called));
    found.map(|(_, rule)| rule.clone()).unwrap_or_default()
}

/// The problems, one a line, as a user reads them.
fn problems(text: &str) -> String {
    let problems = Config::parse(text).expect_err("the file has problems");
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// The example with its commented settings switched on.
fn example_with_everything() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => {
            setting.to_owned()
        }
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_says_nothing_but_defaults() {
    let mut config = Config::parse(EXAMPLE).unwrap();
    config.mentions.clear();
    assert_eq!(config, Config::default());
    assert_eq!(Config::parse(""), Ok(Config::default()));
}

#[test]
fn the_example_s_commented_settings_are_the_defaults_of_their_sections() {
    let config = Config::parse(&example_with_everything()).unwrap();
    assert_eq!(
        config.handlers,
        // A timeout has no default that could be written: without one the caller's deadline counts alone.
        BTreeMap::from([(
            handler("catalog"),
            Limits {
                timeout_ms: Some(5_000),
                // Nor has a policy: it follows from the component.
                policy: Some(InstancePolicy::Pooled),
                ..Limits::default()
            }
        )])
    );
    let rule = EdgeRule {
        via: Via::Queue,
        timeout: Some(ATTEMPT_TIMEOUT_DEFAULT),
        ..EdgeRule::default()
    };
    let found = edge(&config, "checkout", &interface("shop:email/email@0.1.0"));
    assert_eq!(found, rule);
    let catalog = interface("shop:catalog/catalog@0.1.0");
    let provider = config
        .interfaces
        .iter()
        .find(|(name, _)| stands_for(name, &catalog));
    assert_eq!(provider.map(|(_, handler)| handler), Some(&handler("catalog")));
}

/// Each key that the file may have is named by the reader when it meets an unknown one beside it: the example has all.
#[test]
fn the_example_documents_every_key() {
    let example = example_with_everything();
    let headers = [
        "[placement]",
        "[handler.catalog]",
        "[edge.",
        "[interface.",
        "[ingress]",
        "[ui]",
        "[otlp]",
        "[traces]",
        "[queue]",
        "[state]",
    ];
    for header in headers {
        let (before, section) = example.split_once(header).expect(header);
        let (title, body) = section.split_once('\n').unwrap();
        let spoiled = format!("{before}{header}{title}\nzzzzzzzz = 1\n{body}");
        let problems = Config::parse(&spoiled).expect_err(header);
        assert_eq!(problems.len(), 1, "{header}: {problems:?}");
        let (_, known) = problems[0].reason.split_once("known here: ").unwrap();
        for key in known.split(", ") {
            let key = key.trim_matches('`');
            let body = body.split("\n[").next().unwrap();
            assert!(
                body.lines().any(|line| line.starts_with(&format!("{key} = "))),
                "{header} {key}"
            );
        }
    }
    let root = Config::parse("zzzzzzzz = 1").unwrap_err();
    let (_, known) = root[0].reason.split_once("known here: ").unwrap();
    for section in known.split(", ").map(|key| key.trim_matches('`')) {
        assert!(
            headers
                .iter()
                .any(|header| header.starts_with(&format!("[{section}"))),
            "{section}"
        );
    }
}

#[test]
fn the_shop_s_file_queues_the_confirmation_and_nothing_else() {
    let config = Config::parse(SHOP).unwrap();
    let email = interface("shop:email/email@0.1.0");
    assert_eq!(edge(&config, "checkout", &email).via, Via::Queue);
    assert_eq!(edge(&config, "frontend", &email).via, Via::Call);
    assert_eq!(config.placement, Placement::default());
    let known = BTreeSet::from([handler("frontend"), handler("checkout")]);
    let unknown = config.unknown_handlers(&config.placement, &known, Path::new("data/handlers"));
    assert_eq!(unknown, []);
}

#[test]
fn every_problem_comes_at_once_with_its_line_reason_and_nearest_name() {
    let text = r#"[placement]
mod = "apart"
mode = "appart"
groups = [["cart", "checkout"], ["cart", "Email"], "ad"]

[handler.catalog]
replicas = 17
memory = "64"
instances = 0
timeout = "10"
colour = "red"

[handler.queue]
memory = "64MiB"

[edge."checkout shop:email/email"]
via = "queue"

[edge."checkout -> shop:email/email"]
via = "mail"
tries = 5

[interface."catalog"]
handler = "catalog"

[ingress]
listen = "0.0.0.0:8080"
timeot = "3s"

[ui]
listen = 7070

[traces]
sampling = "often"
retention = "1MiB"

[quue]
concurrency = 4
"#;
    insta::assert_snapshot!(problems(text), @r#"
    line 2: `placement.mod` = "apart": no such key; known here: `mode`, `groups`, `transport`, `delay`, `jitter`, `loss`, `bandwidth`; did you mean `mode`?
    line 3: `placement.mode` = "appart": expected "together" or "apart" or "groups"; did you mean `apart`?
    line 4: `placement.groups` = "Email": `Email` is not a handler name: use a to z, 0 to 9 and `-`, starting with a letter, at most 63 characters
    line 4: `placement.groups` = "ad": expected an array of names, as [["cart", "checkout"]]
    line 4: `placement.groups` = "cart": already in a group on line 4; a handler is in one group
    line 7: `handler.catalog.replicas` = 17: expected a whole number, 1 to 16
    line 8: `handler.catalog.memory` = "64": not a size; write a whole number and its unit, as `64MiB` or `1GiB`
    line 9: `handler.catalog.instances` = 0: expected a whole number, 1 to 1000
    line 10: `handler.catalog.timeout` = "10": not a duration; write a number and its unit, as `10s` or `500ms`
    line 11: `handler.catalog.colour` = "red": no such key; known here: `replicas`, `affinity`, `memory`, `tables`, `host_call_bytes`, `instances`, `concurrency`, `policy`, `instance_calls`, `warm`, `timeout`, `interfaces`, `queues`, `hosts`
    line 13: `handler.queue`: `queue` is the platform's own name, no handler can have it
    line 16: `edge."checkout shop:email/email"`: an edge is written `CALLER -> INTERFACE`, as `checkout -> shop:email/email`
    line 20: `edge."checkout -> shop:email/email".via` = "mail": expected "call" or "queue"; did you mean `call`?
    line 23: `interface.catalog`: `catalog` is not an interface name: write `namespace:package/interface`, with `@1.2.3` after it if it has a version
    line 27: `ingress.listen` = "0.0.0.0:8080": not a loopback address, and there are no tokens yet to guard it; use `127.0.0.1`
    line 28: `ingress.timeot` = "3s": no such key; known here: `root`, `listen`, `timeout`; did you mean `timeout`?
    line 31: `ui.listen` = 7070: expected a string in quotes, found an integer
    line 34: `traces.sampling` = "often": `often` is no sampling mode: write `all`, `off` or a rate such as `100/s`
    line 35: `traces.retention` = "1MiB": out of range; write 16MiB to 1TiB
    line 37: `quue`: no such key; known here: `placement`, `handler`, `edge`, `interface`, `ingress`, `ui`, `otlp`, `traces`, `queue`, `state`; did you mean `queue`?
    "#);
}

#[test]
fn a_handler_has_its_limits_and_is_granted_what_is_listed() {
    let text = r#"
[handler.catalog]
tables = 5000
host_call_bytes = "1MiB"
concurrency = 16
interfaces = ["shop:cart/cart", "shop:email/email@0.1.0"]
queues = ["orders"]
hosts = ["example.org", "127.0.0.1:9000"]

[handler.email]
interfaces = []
"#;
    let config = Config::parse(text).unwrap();
    let limits = config.limits(&handler("catalog"));
    assert_eq!(
        (
            limits.table_elements_max,
            limits.host_call_bytes_max,
            limits.calls_max
        ),
        (5_000, 1 << 20, 16)
    );
    let grants = config.grants(&handler("catalog"));
    assert!(grants.allows_interface(&interface("shop:email/email@0.1.7")));
    assert!(!grants.allows_interface(&interface("shop:ad/ad@0.1.0")));
    assert!(grants.allows_queue("orders") && !grants.allows_queue("letters"));
    assert!(grants.of_host("127.0.0.1", 9_000).is_some() && grants.of_host("example.com", 80).is_none());
    let none = config.grants(&handler("email"));
    assert_eq!(none.interfaces, Some(Vec::new()));
    assert_eq!(config.grants(&handler("ad")), Grants::default());
}

#[test]
fn what_cannot_be_granted_is_told_entry_by_entry() {
    let text = r#"
[handler.catalog]
tables = 99
host_call_bytes = "1KiB"
concurrency = 0
interfaces = ["shop:cart/cart", "cart"]
queues = "orders"
hosts = ["https://example.org", 80]
"#;
    insta::assert_snapshot!(problems(text), @r#"
    line 3: `handler.catalog.tables` = 99: expected a whole number, 100 to 400000
    line 4: `handler.catalog.host_call_bytes` = "1KiB": out of range; write 64KiB to 512MiB
    line 5: `handler.catalog.concurrency` = 0: expected a whole number, 1 to 65536
    line 6: `handler.catalog.interfaces` = "cart": `cart` is not an interface name: write `namespace:package/interface`, with `@1.2.3` after it if it has a version
    line 7: `handler.catalog.queues` = "orders": expected an array of names, as ["orders", "letters"]
    line 8: `handler.catalog.hosts` = "https://example.org": `https://example.org` is not a host: write "example.org", "*.example.org" or "127.0.0.1:9000": a name or an address, and a port if it is not 80
    line 8: `handler.catalog.hosts` = 80: expected a string in quotes, found an integer
    "#);
}

#[test]
fn a_file_that_is_no_toml_still_shows_its_other_problems() {
    let text = "[ingress]\nroot = frontend\nlisten = \"127.0.0.1:8080\"\n\n[placement]\nmode = \"apert\"\n";
    insta::assert_snapshot!(problems(text), @r#"
    line 2: not TOML: invalid boolean, expected `false`; text goes in quotes
    line 6: `placement.mode` = "apert": expected "together" or "apart" or "groups"; did you mean `apart`?
    "#);
}

#[test]
fn handlers_that_there_are_not_are_named_with_the_nearest() {
    let text = r#"[placement]
mode = "groups"
groups = [["cart", "chekout"]]

[handler.catalogue]
timeout = "1s"

[edge."checkout -> shop:email/email"]
via = "queue"

[interface."shop:catalog/catalog"]
handler = "warehouse"
"#;
    let known = ["cart", "checkout", "catalog"].map(handler).into();
    let config = Config::parse(text).unwrap();
    let folder = Path::new("data/handlers");
    let unknown = config.unknown_handlers(&config.placement, &known, folder);
    assert_eq!(unknown.len(), 3);
    let in_force = Placement {
        mode: Mode::Groups,
        groups: vec![vec![handler("catlog"), handler("cart")]],
        ..Placement::default()
    };
    let problems = config.unknown_handlers(&in_force, &known, folder);
    insta::assert_snapshot!(config.refuse(problems).unwrap_err(), @r#"
    `the command line` has 4 problems:
      `--placement`: no handler is called `catlog`: put `catlog.wasm` into `data/handlers` or take this out; did you mean `catalog`?
      line 3: `placement.groups` = "chekout": no handler is called `chekout`: put `chekout.wasm` into `data/handlers` or take this out; did you mean `checkout`?
      line 5: `handler.catalogue`: no handler is called `catalogue`: put `catalogue.wasm` into `data/handlers` or take this out; did you mean `catalog`?
      line 12: `interface."shop:catalog/catalog".handler` = "warehouse": no handler is called `warehouse`: put `warehouse.wasm` into `data/handlers` or take this out
    "#);
    assert!(config.refuse(Vec::new()).is_ok());
}

#[test]
fn two_doors_on_one_address_are_refused() {
    assert_eq!(
        problems("[ingress]\nlisten = \"127.0.0.1:7070\"\n"),
        "line 2: `ingress.listen` = \"127.0.0.1:7070\": `ui` and `ingress` cannot share an address; give each its own port\n"
    );
    let free = "[ingress]\nlisten = \"127.0.0.1:0\"\n[ui]\nlisten = \"127.0.0.1:0\"\n";
    assert!(Config::parse(free).is_ok());
}

#[test]
fn a_called_edge_has_a_timeout_but_neither_tries_nor_backoff() {
    let edge = "[edge.\"cart -> shop:catalog/catalog\"]\n";
    let config = Config::parse(&format!("{edge}timeout = \"250ms\"\n")).unwrap();
    let rule = config.edges.values().next().unwrap();
    assert_eq!(
        (rule.via, rule.timeout),
        (Via::Call, Some(Duration::from_millis(250)))
    );
    insta::assert_snapshot!(
        problems(&format!("{edge}tries = 2\nbackoff = \"1s\"\ntimeout = \"1s\"\n")),
        @r#"
    line 2: `edge."cart -> shop:catalog/catalog".tries` = 2: has an effect only with `via = "queue"`; add that or leave the key out
    line 3: `edge."cart -> shop:catalog/catalog".backoff` = "1s": has an effect only with `via = "queue"`; add that or leave the key out
    "#
    );
}

#[test]
fn groups_may_stay_in_the_file_while_another_mode_is_on() {
    let config =
        Config::parse("[placement]\nmode = \"apart\"\ngroups = [[\"cart\", \"checkout\"]]\n").unwrap();
    assert_eq!(config.placement.mode, Mode::Apart);
    assert_eq!(config.placement.groups, [[handler("cart"), handler("checkout")]]);
    assert_eq!(
        problems("[placement]\nmode = \"groups\"\n"),
        "line 2: `placement.mode` = \"groups\": needs `groups` with at least one handler in them\n"
    );
}

#[test]
fn how_calls_go_belongs_to_the_placement() {
    let text = "[placement]\ntransport = \"uds\"\ndelay = \"2ms\"\n\n[edge.\"cart -> shop:catalog/catalog\"]\ntransport = \"tcp\"\nloss = \"1%\"\n";
    let config = Config::parse(text).unwrap();
    assert_eq!(config.placement.way().to_string(), "uds+2ms");
    let catalog = interface("shop:catalog/catalog@0.1.0");
    let way = config.placement.way_of(&handler("cart"), &catalog);
    assert_eq!(way.to_string(), "tcp+2ms+1%");
    assert_eq!(
        config.placement.way_of(&handler("ad"), &catalog).to_string(),
        "uds+2ms"
    );
    insta::assert_snapshot!(
        problems("[placement]\ntransport = \"udp\"\ndelay = \"2\"\njitter = \"1s\"\nloss = 1\nbandwidth = \"100MB/s\"\n"),
        @r#"
    line 2: `placement.transport` = "udp": no transport; there are direct, codec, uds, tcp, quic; did you mean `uds`?
    line 3: `placement.delay` = "2": not a delay; write a number and its unit, as `2ms` or `500us`
    line 4: `placement.jitter` = "1s": out of range; write 0ms to 200ms
    line 5: `placement.loss` = 1: expected a string in quotes, found an integer
    line 6: `placement.bandwidth` = "100MB/s": not a bandwidth; write a number and its unit, as `100Mbit/s` or `1Gbit/s`
    "#
    );
}

#[test]
fn an_interface_without_a_version_stands_for_all_and_one_with_it_for_its_track() {
    for (configured, exported, expected) in [
        ("shop:email/email", "shop:email/email@0.1.0", true),
        ("shop:email/email", "shop:email/email", true),
        ("shop:email/email@1.2.0", "shop:email/email@1.9.3", true),
        ("shop:email/email@1.2.0", "shop:email/email@2.0.0", false),
        ("shop:email/email@1.2.0", "shop:email/email", false),
        ("shop:email/mail", "shop:email/email", false),
    ] {
        let found = stands_for(&interface(configured), &interface(exported));
        assert_eq!(found, expected, "{configured} {exported}");
    }
}

#[test]
fn a_problem_with_an_edge_is_shown_at_its_line() {
    let config = Config::parse("\n[edge.\"checkout->shop:email/email\"]\nvia = \"queue\"\n").unwrap();
    let edge = config.edges.keys().next().unwrap();
    let problem = config.edge_problem(edge, "`send` returns a value".to_owned());
    let shown = "line 2: `edge.\"checkout -> shop:email/email\"`: `send` returns a value";
    assert_eq!(problem.to_string(), shown);
}

#[test]
fn a_placement_argument_is_a_mode_or_a_file_with_a_placement_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    assert_eq!(placement_argument("apart").unwrap().mode, Mode::Apart);
    assert_eq!(placement_argument("together").unwrap(), Placement::default());
    let groups = file(
        "groups.toml",
        "[placement]\nmode = \"groups\"\ngroups = [[\"cart\"]]\n",
    );
    assert_eq!(placement_argument(&groups).unwrap().groups, [[handler("cart")]]);
    let by = placement_argument(&format!("{groups}+tcp+1ms")).unwrap();
    assert_eq!((by.way().to_string(), by.groups.len()), ("tcp+1ms".to_owned(), 1));
    assert_eq!(
        placement_argument("apart+uds").unwrap().transport,
        Some(protocol::Rung::Uds)
    );
    assert_eq!(
        placement_argument("apart+udz").unwrap_err().to_string(),
        "`apart+udz`: no transport; there are direct, codec, uds, tcp, quic; did you mean `uds`?"
    );
    let edges = file(
        "edges.toml",
        "[placement]\nmode = \"apart\"\n[edge.\"cart -> shop:ad/ad\"]\ntransport = \"tcp\"\n",
    );
    assert_eq!(placement_argument(&edges).unwrap().edges.len(), 1);
    let error = placement_argument("apert").unwrap_err().to_string();
    assert_eq!(
        error,
        "`apert` is no placement: write `together`, `apart` or the path of a file with `[placement]`"
    );
    let whole = file("whole.toml", "[ui]\nlisten = \"127.0.0.1:1\"\n");
    let error = placement_argument(&whole).unwrap_err().to_string();
    assert!(
        error.ends_with("has one problem:\n  line 1: `ui`: no such key; known here: `placement`, `edge`"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_missing_or_too_long_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cleave.toml");
    assert!(matches!(Config::load(&path), Err(Error::Read { .. })));
    std::fs::write(&path, " ".repeat(CONFIG_BYTES_MAX as usize + 1)).unwrap();
    assert!(matches!(Config::load(&path), Err(Error::TooLong { .. })));
    std::fs::write(&path, "[ui]\nlisten = \"127.0.0.1:9\"").unwrap();
    assert_eq!(Config::load(&path).unwrap().ui.listen.port(), 9);
}

#[test]
fn memory_beyond_what_the_engine_can_give_is_refused_by_key_value_and_limit() {
    let with = |memory: &str| Config::parse(&format!("[handler.catalog]\nmemory = \"{memory}\"\n"));
    let most = with("512MiB").unwrap().limits(&handler("catalog"));
    assert_eq!(most.memory_bytes_max, crate::runtime::engine::MEMORY_BYTES_MAX);
    let problems = with("513MiB").unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "line 2: `handler.catalog.memory` = \"513MiB\": out of range; write 1MiB to 512MiB"
    );
}

#[test]
fn a_handler_s_timeout_is_read() {
    let config = Config::parse("[handler.catalog]\ntimeout = \"1500ms\"\n").unwrap();
    assert_eq!(config.limits(&handler("catalog")).timeout_ms, Some(1_500));
    assert_eq!(config.limits(&handler("cart")).timeout_ms, None);
}

#[test]
fn replicas_belong_to_the_placement_and_affinity_to_the_handler() {
    let config =
        Config::parse("[handler.cart]\nreplicas = 3\naffinity = \"user-id\"\n[handler.ad]\nreplicas = 1\n")
            .unwrap();
    assert_eq!(config.placement.replicas, [(handler("cart"), 3)].into());
    assert_eq!(config.affinities[&handler("cart")].parameter, "user-id");
    let problem = config
        .affinity_problem(&handler("cart"), &["product-id", "used-id"].into())
        .unwrap();
    assert_eq!(
        problem.to_string(),
        "line 3: `handler.cart.affinity` = \"user-id\": no function of `cart` has such a parameter; did you mean `used-id`?"
    );
    assert_eq!(
        problems("[handler.cart]\naffinity = \"user id\"\n"),
        "line 2: `handler.cart.affinity` = \"user id\": not a parameter's name; write it as in WIT: \"user-id\"\n"
    );
}
