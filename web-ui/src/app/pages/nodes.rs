//! Nodes: the processes, what they serve and use, how long their certificates last, and what happened to them.

mod events;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::nodes::{Node, NodeState};
use protocol::api::placement::Accepted;
use protocol::{HandlerName, NodeName};

use crate::app::live::{Live, live};
use crate::app::parts::{confirm, faces, tags};
use crate::app::{api, shell};
use crate::{finding, format};

/// The size of a chart.
const CHART: (f64, f64) = (160.0, 34.0);

/// The page.
pub fn page() -> AnyView {
    shell::title("Nodes");
    let live = live();
    let title = move || {
        live.nodes.with(|list| {
            list.ready()
                .map_or_else(|| "Nodes".to_owned(), |list| headline(list))
        })
    };
    let empty = || faces::empty("No node", "Home itself is a node; it is not listed yet.", "");
    view! {
        {tags::head(title, "A node is one cleave process: home, and one child for each handler or group that is apart.", ())}
        {faces::list(live.nodes, move || live.read_all(), empty, move || cards(live))}
        {events::card()}
    }
    .into_any()
}

fn headline(list: &[Node]) -> String {
    let ready = list.iter().filter(|node| node.state == NodeState::Ready).count();
    let all = format::plural(list.len() as u64, "node", "nodes");
    if ready == list.len() {
        format!("{all}, all ready")
    } else {
        format!("{ready} of {all} ready")
    }
}

fn cards(live: Live) -> AnyView {
    let names = move || {
        live.nodes.with(|list| {
            list.ready()
                .map(|list| list.iter().map(|node| node.name.clone()).collect::<Vec<_>>())
                .unwrap_or_default()
        })
    };
    view! { <div class="node-cards"><For each=names key=Clone::clone children=move |name| card(live, name) /></div> }
        .into_any()
}

fn card(live: Live, name: NodeName) -> AnyView {
    let wanted = name.clone();
    let node = Memo::new(move |_| {
        live.nodes.with(|list| {
            list.ready()
                .and_then(|list| list.iter().find(|node| node.name == wanted))
                .cloned()
        })
    });
    let text = move |cell: fn(&Node) -> String| {
        move || node.with(|node| node.as_ref().map(cell).unwrap_or_default())
    };
    let state = move || {
        node.with(|node| {
            let (class, word) = node
                .as_ref()
                .map_or(("state", ""), |node| tags::node_state(node.state));
            view! { <span class=class>{word}</span> }
        })
    };
    let handlers = Memo::new(move |_| {
        node.with(|node| {
            node.as_ref()
                .map(|node| node.handlers.clone())
                .unwrap_or_default()
        })
    });
    let cpu_of = name.clone();
    let cpu = move || {
        live.cpu.with(|cpu| {
            cpu.get(&cpu_of)
                .map_or_else(|| "–".to_owned(), |share| format::percent(*share, 1.0))
        })
    };
    let fact = move |name: &'static str, cell: fn(&Node) -> String| view! { <div><dt>{name}</dt><dd class="num-left">{text(cell)}</dd></div> };
    let is_home = name == NodeName::home();
    let actions = (!is_home).then(|| actions(&name));
    view! {
        <section class="card node-card" data-node=name.to_string() data-row="" tabindex="0" aria-label=format!("Node {name}")>
            <div class="card-head"><h2>{name.to_string()}</h2>{state}</div>
            <div class="node-serves">{move || serves(&handlers.get())}</div>
            {move || node.with(|node| node.as_ref().and_then(last_error))}
            <div class="node-charts">
                {chart(live, &name, 0, "CPU", cpu)}
                {chart(live, &name, 1, "memory", text(|node| format::bytes(node.resident_bytes)))}
            </div>
            <dl class="facts">
                {fact("pid", |node| if node.pid == 0 { "–".to_owned() } else { node.pid.to_string() })}
                {fact("up", uptime)}
                {fact("starts", |node| format::count(node.incarnation))}
                {fact("CPU so far", |node| format!("{:.1} s", node.cpu_seconds))}
                {fact("sent, received", |node| format!("{}, {}", format::bytes(node.quic_bytes_sent), format::bytes(node.quic_bytes_received)))}
                {fact("address", |node| node.address.clone().unwrap_or_else(|| "–".to_owned()))}
                {fact("certificate", papers)}
            </dl>
            {actions}
        </section>
    }
    .into_any()
}

/// A line of the last two minutes, with its newest value beside it.
fn chart(
    live: Live,
    name: &NodeName,
    which: usize,
    word: &'static str,
    value: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> AnyView {
    let (name, (width, height)) = (name.clone(), CHART);
    // A core, and 64 MB: below that, nothing needs to look like much.
    let least = if which == 0 { 1.0 } else { 64e6 };
    let points = move || {
        live.usage.with(|usage| {
            let series = usage.get(&name).and_then(|series| series.get(which));
            series.map_or_else(String::new, |series| series.points(CHART, series.top(least)))
        })
    };
    let label = {
        let value = value.clone();
        move || format!("{word}, now {}", value())
    };
    view! {
        <figure class="chart">
            <svg viewBox=format!("0 0 {width} {height}") preserveAspectRatio="none" role="img" aria-label=label>
                <polyline class=format!("chart-line chart-{which}") points=points></polyline>
            </svg>
            <figcaption><span class="soft small">{word}</span><b class="num-left">{value}</b></figcaption>
        </figure>
    }
    .into_any()
}

/// Draining loses no call; killing is for whoever wants to see what a crash does.
fn actions(name: &NodeName) -> AnyView {
    let (drained, killed) = (name.clone(), name.clone());
    let drain = confirm::button(
        "Drain",
        "drain",
        "A new process takes its place; no call fails.",
        move |said| {
            let path = format!("nodes/{drained}/drain");
            spawn_local(async move {
                if let Err(problem) = api::send::<Accepted>("POST", &path, &()).await {
                    said.set(Some(problem.detail));
                }
            });
        },
    );
    let kill = confirm::button(
        "Kill",
        "kill",
        "As in a crash: its calls fail, and it starts again by itself.",
        move |said| {
            let path = format!("nodes/{killed}/kill");
            spawn_local(async move {
                if let Err(problem) = api::act("POST", &path).await {
                    said.set(Some(problem.detail));
                }
            });
        },
    );
    view! { <div class="buttons">{drain}{kill}</div> }.into_any()
}

/// How old its certificate is, and when it is replaced.
fn papers(node: &Node) -> String {
    let Some(papers) = node.papers else {
        return "–".to_owned();
    };
    let now = js_sys::Date::now() as u64;
    // Nobody watches its seconds.
    let whole = |ms: u64| match ms / 60_000 {
        0 => "under a minute".to_owned(),
        minutes @ 1..60 => format!("{minutes} min"),
        _ => format::age(ms),
    };
    format!(
        "{} old, renewed in {}",
        whole(now.saturating_sub(papers.issued_unix_ms)),
        whole(papers.renewal_unix_ms.saturating_sub(now))
    )
}

/// What a node serves; home may serve no handler, and much else.
fn serves(handlers: &[HandlerName]) -> AnyView {
    if handlers.is_empty() {
        return view! { <span class="faint small">"ingress, queues, state, this page"</span> }.into_any();
    }
    let links: Vec<_> = handlers
        .iter()
        .map(|name| view! { <span class="need">{tags::handler_link(name)}</span> })
        .collect();
    view! { <span class="needs">{links}</span> }.into_any()
}

/// Why its process ended, now or before.
fn last_error(node: &Node) -> Option<AnyView> {
    let error = node.last_error.as_ref()?;
    let when = match node.state {
        NodeState::Down => "",
        _ => "Last ended: ",
    };
    let text = format!("{when}{}.", finding::sentence_case(error));
    Some(view! { <p class="small trouble">{text}</p> }.into_any())
}

fn uptime(node: &Node) -> String {
    let now = js_sys::Date::now() as u64;
    match node.state {
        NodeState::Down => "–".to_owned(),
        _ => format::age(now.saturating_sub(node.started_unix_ms) / 1000 * 1000),
    }
}
