//! Nodes: the processes, what they serve and what they use.

use leptos::prelude::*;
use protocol::api::nodes::{Node, NodeState};
use protocol::{HandlerName, NodeName};

use crate::app::live::{Live, live};
use crate::app::parts::{faces, tags};
use crate::app::shell;
use crate::{finding, format};

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
        <section class="card flush">
            {faces::list(live.nodes, move || live.read_all(), empty, move || table(live))}
        </section>
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

fn table(live: Live) -> AnyView {
    let names = move || {
        live.nodes.with(|list| {
            list.ready()
                .map(|list| list.iter().map(|node| node.name.clone()).collect::<Vec<_>>())
                .unwrap_or_default()
        })
    };
    view! {
        <table class="rows">
            <thead>
                <tr>
                    <th>"node"</th>
                    <th>"state"</th>
                    <th class="wide">"serves"</th>
                    <th class="num">"CPU"</th>
                    <th class="num">"memory"</th>
                    <th class="num wide">"sent"</th>
                    <th class="num wide">"received"</th>
                    <th class="num wide">"starts"</th>
                    <th class="num wide">"up"</th>
                    <th class="num wide">"pid"</th>
                    <th class="wide">"address"</th>
                </tr>
            </thead>
            <tbody>
                <For each=names key=Clone::clone children=move |name| row(live, name) />
            </tbody>
        </table>
    }
    .into_any()
}

fn row(live: Live, name: NodeName) -> impl IntoView {
    let wanted = name.clone();
    let node = Memo::new(move |_| {
        live.nodes.with(|list| {
            list.ready()
                .and_then(|list| list.iter().find(|node| node.name == wanted))
                .cloned()
        })
    });
    let text = move |cell: fn(&Node) -> String| move || node.with(|node| node.as_ref().map(cell));
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
    let serves = move || serves(&handlers.get());
    let cpu_of = name.clone();
    let cpu = move || {
        live.cpu.with(|cpu| {
            cpu.get(&cpu_of)
                .map_or_else(|| "–".to_owned(), |share| format::percent(*share, 1.0))
        })
    };
    view! {
        <tr data-node=name.to_string()>
            <td>
                <span class="strong" data-row="" tabindex="0">{name.to_string()}</span>
                <span class="narrow-only small">{serves}</span>
                {move || node.with(|node| node.as_ref().and_then(last_error))}
            </td>
            <td>{state}</td>
            <td class="wide">{serves}</td>
            <td class="num">{cpu}</td>
            <td class="num">{text(|node| format::bytes(node.resident_bytes))}</td>
            <td class="num wide">{text(|node| format::bytes(node.quic_bytes_sent))}</td>
            <td class="num wide">{text(|node| format::bytes(node.quic_bytes_received))}</td>
            <td class="num wide">{text(|node| format::count(node.incarnation))}</td>
            <td class="num wide">{text(uptime)}</td>
            <td class="num wide">{text(|node| if node.pid == 0 { "–".to_owned() } else { node.pid.to_string() })}</td>
            <td class="num-left wide faint">{text(|node| node.address.clone().unwrap_or_else(|| "–".to_owned()))}</td>
        </tr>
    }
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
