//! The sections of `cleave.toml`, key by key: how each is called, parsed and bounded.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::api::placement::{Mode, Placement, REPLICAS_MAX};
use protocol::control::{InstancePolicy, Limits};
use protocol::ladder::Delay;
use protocol::{Grants, HandlerName, HostGrant, InterfaceName, QueueName, Rung, Way};

use super::reader::{Found, Reader, Section, choice, share, text, whole, yes_or_no};
use super::{Affinity, Config, EdgeName, EdgeRule, Mention, Problem, Via, quantity};
use crate::db::Synchronous;
use crate::otlp::export::endpoint;
use crate::runtime::engine::{INSTANCES_MAX, MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX};
use crate::traces::{Keep, Slower};

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// One instance's memory: a guest needs a few pages to start; the engine's pool has no room for more than its own most.
const MEMORY_BYTES: std::ops::RangeInclusive<u64> = 1 << 20..=MEMORY_BYTES_MAX;
/// Instances of one handler on one node.
const INSTANCES: std::ops::RangeInclusive<u32> = 1..=INSTANCES_MAX;
/// The tables of one instance: a small guest has some tens of functions that are called by pointer.
const TABLES: std::ops::RangeInclusive<u32> = 100..=TABLE_ELEMENTS_MAX;
/// What one host call may carry: a line of log at least, not more than the largest memory.
const HOST_CALL_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=MEMORY_BYTES_MAX;
/// Calls to one handler on one node: each that waits holds its arguments.
const CONCURRENCY: std::ops::RangeInclusive<u32> = 1..=65_536;
/// Calls that one shared instance serves at a time: more would only wait for each other.
const INSTANCE_CALLS: std::ops::RangeInclusive<u32> = 1..=1_024;
/// Instances of one handler that are kept ready without a call.
const WARM: std::ops::RangeInclusive<u32> = 0..=32;
/// The trace store: below 16 MiB one busy second would push out the one before.
const RETENTION_BYTES: std::ops::RangeInclusive<u64> = 16 << 20..=1 << 40;

/// Which traces are kept: who says so wants no others than those that the keys name.
fn keep(section: &mut Section<'_, '_>) -> Keep {
    let mut keep = Keep {
        errors: true,
        slower_than: None,
        share_ppm: 0,
    };
    section.set("errors", &mut keep.errors, yes_or_no);
    section.set("slower_than", &mut keep.slower_than, text(slower_than));
    section.set("share", &mut keep.share_ppm, share);
    keep
}

fn slower_than(value: &str) -> Result<Option<Slower>, String> {
    if value == "p99" {
        return Ok(Some(Slower::ThanMost));
    }
    match quantity::duration(Duration::ZERO..=HOUR)(value) {
        Ok(limit) => Ok(Some(Slower::Than(limit))),
        Err(error) => Err(format!("{error}, or `p99`")),
    }
}

/// Reads a whole file.
pub(super) fn read(file: &str) -> Result<Config, Vec<Problem>> {
    Reader::run(file, |root| {
        let mut config = Config::default();
        placement(root, &mut config);
        handlers(root, &mut config);
        edges(root, &mut config);
        interfaces(root, &mut config);
        doors(root, &mut config);
        otlp(root, &mut config);
        if let Some(mut section) = root.section("traces") {
            let traces = &mut config.traces;
            section.set("sampling", &mut traces.sampling, text(str::parse));
            section.set("arguments", &mut traces.arguments, yes_or_no);
            section.set(
                "retention",
                &mut traces.retention.bytes,
                text(quantity::bytes(RETENTION_BYTES)),
            );
            section.set(
                "retention_age",
                &mut traces.retention.age,
                text(quantity::duration(MINUTE..=YEAR)),
            );
            if let Some(mut section) = section.section("keep") {
                traces.retention.keep = keep(&mut section);
                section.close();
            }
            section.close();
        }
        if let Some(mut section) = root.section("queue") {
            section.set("concurrency", &mut config.queue.concurrency, whole(1..=256));
            section.set(
                "keep_done",
                &mut config.queue.keep_done,
                text(quantity::duration(Duration::ZERO..=YEAR)),
            );
            section.close();
        }
        if let Some(mut section) = root.section("state") {
            let words = [("normal", Synchronous::Normal), ("full", Synchronous::Full)];
            section.set("synchronous", &mut config.state.synchronous, choice(&words));
            section.close();
        }
        config.mentions.sort_by_key(|mention| mention.line);
        config
    })
}

/// Reads a file that holds `[placement]`, ways of edges, and nothing else.
pub(super) fn read_placement(file: &str) -> Result<Placement, Vec<Problem>> {
    Reader::run(file, |root| {
        let mut config = Config::default();
        placement(root, &mut config);
        for (name, mut section) in root.sections("edge") {
            let way = way(&mut section);
            section.close();
            match edge_name(&name.value) {
                Ok(edge) => _ = config.placement.edges.insert(edge, way),
                Err(reason) => section.refuse(&name, reason),
            }
        }
        config.placement
    })
}

/// An edge's key as `Problem` shows it.
pub(super) fn edge_key(edge: &EdgeName) -> String {
    format!("edge.\"{edge}\"")
}

fn placement(root: &mut Section<'_, '_>, config: &mut Config) {
    let Some(mut section) = root.section("placement") else {
        return;
    };
    let words = [
        ("together", Mode::Together),
        ("apart", Mode::Apart),
        ("groups", Mode::Groups),
    ];
    let mode = section.find("mode", choice(&words));
    let groups = section.nested_lists("groups", text(deployable));
    let mut first_lines = BTreeMap::new();
    for member in groups.iter().flatten() {
        if let Some(line) = first_lines.insert(member.value.clone(), member.line) {
            let reason = format!("already in a group on line {line}; a handler is in one group");
            section.refuse(member, reason);
        }
        mention(config, member, member.value.clone());
    }
    config.placement.groups = groups
        .into_iter()
        .map(|group| group.into_iter().map(|member| member.value).collect())
        .collect();
    let way = way(&mut section);
    config.placement = std::mem::take(&mut config.placement).by(way);
    if let Some(mode) = mode {
        config.placement.mode = mode.value;
        let filled = config.placement.groups.iter().any(|group| !group.is_empty());
        if mode.value == Mode::Groups && !filled {
            section.refuse(
                &mode,
                "needs `groups` with at least one handler in them".to_owned(),
            );
        }
    }
    section.close();
}

/// How calls go: of all, or of an edge.
fn way(section: &mut Section<'_, '_>) -> Way {
    let value = |found: Option<Found<Delay>>| found.map(|found| found.value);
    Way {
        transport: section
            .find("transport", text(Rung::parse))
            .map(|found| found.value),
        delay: value(section.find("delay", text(str::parse))),
        jitter: value(section.find("jitter", text(str::parse))),
        loss: section.find("loss", text(str::parse)).map(|found| found.value),
        bandwidth: section
            .find("bandwidth", text(str::parse))
            .map(|found| found.value),
    }
}

fn handlers(root: &mut Section<'_, '_>, config: &mut Config) {
    for (name, mut section) in root.sections("handler") {
        let mut limits = Limits::default();
        let replicas = section.find("replicas", whole(1..=REPLICAS_MAX));
        let affinity = section.find("affinity", text(parameter));
        section.set(
            "memory",
            &mut limits.memory_bytes_max,
            text(quantity::bytes(MEMORY_BYTES)),
        );
        section.set("tables", &mut limits.table_elements_max, whole(TABLES));
        section.set(
            "host_call_bytes",
            &mut limits.host_call_bytes_max,
            text(quantity::bytes(HOST_CALL_BYTES)),
        );
        section.set("instances", &mut limits.instances_max, whole(INSTANCES));
        section.set("concurrency", &mut limits.calls_max, whole(CONCURRENCY));
        let policies = [
            ("pooled", InstancePolicy::Pooled),
            ("fresh", InstancePolicy::Fresh),
            ("shared", InstancePolicy::Shared),
        ];
        limits.policy = section.find("policy", choice(&policies)).map(|found| found.value);
        section.set(
            "instance_calls",
            &mut limits.instance_calls_max,
            whole(INSTANCE_CALLS),
        );
        section.set("warm", &mut limits.warm, whole(WARM));
        if let Some(timeout) = section.find("timeout", text(quantity::duration(MILLISECOND..=HOUR))) {
            limits.timeout_ms = Some(timeout.value.as_millis() as u64);
        }
        let grants = grants(&mut section);
        section.close();
        match deployable(&name.value) {
            Ok(handler) => {
                mention(config, &name, handler.clone());
                if let Some(replicas) = replicas.filter(|found| found.value > 1) {
                    config.placement.replicas.insert(handler.clone(), replicas.value);
                }
                if let Some(Found { value, line, .. }) = affinity {
                    config.affinities.insert(
                        handler.clone(),
                        Affinity {
                            parameter: value,
                            line,
                        },
                    );
                }
                if grants != Grants::default() {
                    config.grants.insert(handler.clone(), grants);
                }
                config.handlers.insert(handler, limits);
            }
            Err(reason) => section.refuse(&name, reason),
        }
    }
}

fn grants(section: &mut Section<'_, '_>) -> Grants {
    let interface = |name: &str| InterfaceName::parse(name).map_err(|error| error.to_string());
    let queue = |name: &str| QueueName::parse(name).map_err(|error| error.to_string());
    let host = |name: &str| HostGrant::parse(name).map_err(|error| error.to_string());
    // An entry that is refused is reported, and leaves the list without it: no mistake grants more.
    let is_restricted = section.has("interfaces");
    let interfaces = section.names("interfaces", text(interface));
    Grants {
        interfaces: is_restricted.then_some(interfaces),
        queues: section.names("queues", text(queue)),
        hosts: section.names("hosts", text(host)),
    }
}

fn edges(root: &mut Section<'_, '_>, config: &mut Config) {
    for (name, mut section) in root.sections("edge") {
        let mut rule = EdgeRule::default();
        let words = [("call", Via::Call), ("queue", Via::Queue)];
        let via = section.find("via", choice(&words));
        rule.via = via.as_ref().map_or(rule.via, |found| found.value);
        let tries = section.find("tries", whole(1..=100));
        let backoff = section.find("backoff", text(quantity::duration(MILLISECOND..=DAY)));
        let timeout = section.find("timeout", text(quantity::duration(MILLISECOND..=HOUR)));
        // A `via` that is refused itself may well have been meant as a queue.
        if rule.via == Via::Call && (via.is_some() || !section.has("via")) {
            let without_effect = "has an effect only with `via = \"queue\"`; add that or leave the key out";
            tries
                .iter()
                .for_each(|found| section.refuse(found, without_effect.to_owned()));
            backoff
                .iter()
                .for_each(|found| section.refuse(found, without_effect.to_owned()));
        }
        rule.tries = tries.map_or(rule.tries, |found| found.value);
        rule.backoff = backoff.map_or(rule.backoff, |found| found.value);
        rule.timeout = timeout.map(|found| found.value);
        let way = way(&mut section);
        section.close();
        match edge_name(&name.value) {
            Ok(edge) => {
                config.mentions.push(Mention {
                    line: name.line,
                    key: edge_key(&edge),
                    value: None,
                    handler: edge.caller.clone(),
                });
                if !way.is_silent() {
                    config.placement.edges.insert(edge.clone(), way);
                }
                if config.edges.insert(edge, rule).is_some() {
                    section.refuse(&name, "the same edge is written twice".to_owned());
                }
            }
            Err(reason) => section.refuse(&name, reason),
        }
    }
}

fn interfaces(root: &mut Section<'_, '_>, config: &mut Config) {
    for (name, mut section) in root.sections("interface") {
        let handler = section.find("handler", text(deployable));
        section.close();
        match InterfaceName::parse(&name.value) {
            Ok(interface) => {
                if let Some(handler) = handler {
                    mention(config, &handler, handler.value.clone());
                    config.interfaces.insert(interface, handler.value);
                }
            }
            Err(error) => section.refuse(&name, error.to_string()),
        }
    }
}

fn doors(root: &mut Section<'_, '_>, config: &mut Config) {
    let mut ingress = None;
    if let Some(mut section) = root.section("ingress") {
        if let Some(root) = section.find("root", text(deployable)) {
            mention(config, &root, root.value.clone());
            config.ingress.root = root.value;
        }
        ingress = section.find("listen", text(listen));
        section.set(
            "timeout",
            &mut config.ingress.timeout,
            text(quantity::duration(MILLISECOND..=HOUR)),
        );
        section.close();
        if let Some(found) = &ingress {
            config.ingress.listen = found.value;
        }
    }
    if let Some(mut section) = root.section("ui") {
        let ui = section.find("listen", text(listen));
        section.close();
        if let Some(found) = &ui {
            config.ui.listen = found.value;
            refuse_one_port(&section, found, config);
        } else if let Some(found) = &ingress {
            refuse_one_port(&section, found, config);
        }
    } else if let Some(found) = &ingress {
        refuse_one_port(root, found, config);
    }
}

fn otlp(root: &mut Section<'_, '_>, config: &mut Config) {
    let Some(mut section) = root.section("otlp") else {
        return;
    };
    let taken = [config.ui.listen, config.ingress.listen];
    let mut doors = Vec::new();
    for key in ["listen", "grpc"] {
        let found = section.find(key, text(listen));
        if let Some(found) = &found
            && found.value.port() != 0
            && (taken.contains(&found.value) || doors.contains(&found.value))
        {
            section.refuse(
                found,
                "another door has this address; give each its own port".to_owned(),
            );
        }
        doors.extend(found.map(|found| found.value));
        match key {
            "listen" => config.otlp.listen = doors.last().copied(),
            _ => config.otlp.grpc = doors.get(usize::from(config.otlp.listen.is_some())).copied(),
        }
    }
    if let Some(found) = section.find("export", text(endpoint)) {
        let port = found.value.port_u16();
        if config
            .otlp
            .listen
            .is_some_and(|own| Some(own.port()) == port && is_local(&found.value))
        {
            section.refuse(
                &found,
                "this is the door that spans come in by; name another collector".to_owned(),
            );
        }
        config.otlp.export = Some(found.value);
    }
    section.close();
}

fn is_local(uri: &http::Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Both doors on one address would make the second one fail to open, with a less helpful message.
fn refuse_one_port(section: &Section<'_, '_>, found: &Found<SocketAddr>, config: &Config) {
    if config.ui.listen == config.ingress.listen && config.ui.listen.port() != 0 {
        let reason = "`ui` and `ingress` cannot share an address; give each its own port";
        section.refuse(found, reason.to_owned());
    }
}

fn mention<T>(config: &mut Config, found: &Found<T>, handler: HandlerName) {
    config.mentions.push(Mention {
        line: found.line,
        key: found.key.clone(),
        value: found.written.clone(),
        handler,
    });
}

fn deployable(name: &str) -> Result<HandlerName, String> {
    let handler = HandlerName::parse(name).map_err(|error| error.to_string())?;
    if handler.is_reserved() {
        return Err(format!(
            "`{name}` is the platform's own name, no handler can have it"
        ));
    }
    Ok(handler)
}

/// A parameter's name as in WIT.
fn parameter(name: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(plain) {
        Ok(name.to_owned())
    } else {
        Err("not a parameter's name; write it as in WIT: \"user-id\"".to_owned())
    }
}

fn edge_name(name: &str) -> Result<EdgeName, String> {
    let edge: EdgeName = name.parse()?;
    deployable(edge.caller.as_str())?;
    Ok(edge)
}

fn listen(address: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = address
        .parse()
        .map_err(|_| "not an address with a port; write it as `127.0.0.1:8080`".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("not a loopback address, and there are no tokens yet to guard it; use `127.0.0.1`".to_owned())
    }
}
