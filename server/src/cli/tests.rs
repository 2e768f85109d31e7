//! Arguments: what is accepted, what is refused, what the help says.

use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn verify_cli() {
    Cli::command().debug_assert();
}

#[test]
fn the_documented_lines_are_accepted() {
    for line in [
        "cleave up",
        "cleave up --config cleave.toml --data ./data --placement apart --ui 127.0.0.1:7070 --ingress 127.0.0.1:8080 --open",
        "cleave check a.wasm b.wasm --json",
        "cleave ls",
        "cleave ls edges --json --server http://127.0.0.1:7071",
        "cleave call shop:catalog/catalog list-products",
        "cleave call audit@shop:email/email send - --timeout 1s",
        "cleave place together --timeout 30s",
        "cleave place",
        "cleave place apart --transport uds --delay 2ms --jitter 500us --loss 1% --bandwidth 100Mbit/s",
        "cleave place --transport codec",
        "cleave load --compare together,together+codec,apart+uds,apart+tcp,apart+quic+2ms",
        "cleave scale catalog=2 cart=3 --timeout 1m",
        "cleave drain catalog-2 --json",
        "cleave trace",
        "cleave trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "cleave trace --follow --handler cart",
        "cleave trace --query status=error",
        "cleave queue ls",
        "cleave queue show checkout.email --state dead --limit 5",
        "cleave queue retry checkout.email 1 2",
        "cleave node",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
    }
}

#[test]
fn what_makes_no_sense_is_a_matter_of_usage() {
    for line in [
        "cleave",
        "cleave check",
        "cleave ls everything",
        "cleave call catalog list",
        "cleave call shop:catalog/catalog",
        "cleave trace 123",
        "cleave trace --status maybe",
        "cleave trace --limit 0",
        "cleave trace --follow --query status=error",
        "cleave trace 4bf92f3577b34da6a3ce929d0e0e4736 --follow",
        "cleave queue show Not-A-Queue",
        "cleave ls --server 127.0.0.1:7070",
        "cleave place apart --timeout soon",
        "cleave place apart --transport udp",
        "cleave place apart --delay 2",
        "cleave place apart --loss 50%",
        "cleave load --compare together,apart+often",
        "cleave scale",
        "cleave scale catalog=0",
        "cleave drain",
        "cleave drain No-Node",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn the_help_teaches_and_hides_what_is_not_for_people() {
    let help = Cli::command().render_long_help().to_string();
    assert!(help.contains("EXAMPLES") && help.contains("EXIT CODES"));
    assert!(!help.contains("\n  node"), "{help}");
    for command in Cli::command().get_subcommands_mut() {
        let name = command.get_name().to_owned();
        let help = command.render_long_help().to_string();
        if !matches!(name.as_str(), "node" | "load") {
            assert!(help.contains("EXAMPLES"), "{name}");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_run_is_told_with_its_remedy() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let client = Client::new(&format!("http://127.0.0.1:{port}"));
    let error = client.get::<protocol::api::Status>("status").await.unwrap_err();
    assert!(error.to_string().contains("cleave up"), "{error}");
    assert_eq!(error.exit_code(), 1);
}
