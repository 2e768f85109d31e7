//! Edges, the bill: what calls from one handler to another are made of, what they take of a request, and what cutting or
//! joining would change.
//!
//! Promises: the address holds the order and the opened edge; figures change in their places; an edge that is new since
//! appears, one that is opened stays open.

mod detail;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::Transport;
use protocol::api::bill::{Bill, BilledEdge};
use protocol::api::problem::Problem;

use crate::app::live::{Remote, keep, live};
use crate::app::navigation::{Navigation, navigation};
use crate::app::parts::{faces, tags};
use crate::app::{api, shell};
use crate::bill::{self, Sort};
use crate::format;
use crate::map::Move;
use crate::route::{EdgesAddress, MapAddress, Route};

/// How often the bill is asked for; it is made anew at most every two seconds.
const EVERY: std::time::Duration = std::time::Duration::from_secs(3);

/// What the page holds.
#[derive(Clone, Copy)]
struct Edges {
    bill: RwSignal<Remote<Bill>>,
    address: Memo<EdgesAddress>,
    navigation: Navigation,
}

/// The bill, read again and again while its page is open.
pub fn follow() -> RwSignal<Remote<Bill>> {
    let bill = RwSignal::new(Remote::Loading);
    let live = live();
    Effect::new(move |_| {
        live.recoveries.track();
        read(bill);
    });
    if let Ok(ticks) = set_interval_with_handle(move || read(bill), EVERY) {
        on_cleanup(move || ticks.clear());
    }
    bill
}

fn read(bill: RwSignal<Remote<Bill>>) {
    spawn_local(async move {
        let answer: Result<Bill, Problem> = api::get("edges/bill").await;
        keep(bill, answer);
    });
}

/// The page.
pub fn page() -> AnyView {
    shell::title("Edges");
    let navigation = navigation();
    let edges = Edges {
        bill: follow(),
        address: Memo::new(move |_| match navigation.route.get() {
            Route::Edges(address) => address,
            _ => EdgesAddress::default(),
        }),
        navigation,
    };
    let title = move || {
        edges
            .bill
            .with(|bill| bill.ready().map_or_else(|| "Edges".to_owned(), bill::headline))
    };
    let about = move || {
        edges.bill.with(|bill| {
            bill.ready().map(|bill| {
                format!(
                    "Rates over the last 10 s; stages and shares from {} in {}; latencies of every call since start.",
                    format::plural(bill.calls.into(), "stored call", "stored calls"),
                    format::plural(bill.requests.into(), "request", "requests")
                )
            })
        })
    };
    let is_empty = Memo::new(move |_| {
        edges
            .bill
            .with(|bill| bill.ready().is_some_and(|bill| bill.edges.is_empty()))
    });
    // Only this may change the face: figures change in their places.
    let data = move || {
        (move || match is_empty.get() {
            true => faces::empty(
                "No call yet",
                "An edge appears with the first call from one handler to another. Open the shop, or send it some load.",
                "cleave load --duration 10s",
            ),
            false => table(edges),
        })
        .into_any()
    };
    view! {
        {tags::head(title, about, legend())}
        <section class="card flush bill-card">
            {faces::one(edges.bill, move || read(edges.bill), data)}
        </section>
    }
    .into_any()
}

/// What the six hues mean.
fn legend() -> AnyView {
    const HUES: [(&str, &str); 6] = [
        ("stage-lower", "memory"),
        ("stage-codec", "packing"),
        ("stage-travel", "travel"),
        ("stage-wait", "wait"),
        ("stage-run", "run"),
        ("stage-outgoing", "own calls"),
    ];
    let entries = HUES
        .into_iter()
        .map(|(class, word)| view! { <li><i class=format!("stage-dot {class}") aria-hidden="true"></i>{word}</li> })
        .collect_view();
    view! { <ul class="legend small soft" aria-label="Hues of a call's stages">{entries}</ul> }.into_any()
}

/// An edge as rules and traces name it.
fn name(edge: &BilledEdge) -> String {
    format!("{} -> {}", edge.caller, edge.interface.unversioned())
}

fn table(edges: Edges) -> AnyView {
    let keys = move || {
        let sort = edges.address.with(|address| address.sort);
        edges.bill.with(|all| {
            let all = all.ready();
            all.map(|all| bill::sorted(all, sort).into_iter().map(name).collect::<Vec<_>>())
                .unwrap_or_default()
        })
    };
    let longest = Memo::new(move |_| {
        edges.bill.with(|bill| {
            let samples = bill.ready().into_iter().flat_map(|bill| &bill.edges);
            let totals = samples
                .filter_map(|edge| edge.sample.as_ref())
                .map(|sample| total(&sample.p50));
            totals.max().unwrap_or(1)
        })
    });
    view! {
        <table class="rows bill">
            <thead>
                <tr>
                    {edges.head(Sort::Edge, "edge", "")}
                    {edges.head(Sort::Rate, "rate", "num")}
                    {edges.head(Sort::Calls, "calls", "num wide")}
                    {edges.head(Sort::Bytes, "out, back", "num wider")}
                    <th class="wide stages">"a call's nine steps, medians"</th>
                    {edges.head(Sort::P50, "p50", "num wide")}
                    {edges.head(Sort::P99, "p99", "num wide")}
                    {edges.head(Sort::Carried, "carrying", "num")}
                    {edges.head(Sort::Share, "of requests", "num")}
                    {edges.head(Sort::Change, "instead", "num wide")}
                </tr>
            </thead>
            <For each=keys key=Clone::clone children=move |wanted| edges.row(wanted, longest) />
        </table>
    }
    .into_any()
}

fn total(stages: &protocol::CallerStages) -> u64 {
    bill::stack(stages).iter().map(|part| part.ns).sum()
}

impl Edges {
    fn change(self, edit: &dyn Fn(&mut EdgesAddress)) {
        let mut address = self.address.get_untracked();
        edit(&mut address);
        self.navigation.replace(&Route::Edges(address));
    }

    /// A column's head, which sorts by it.
    fn head(self, sort: Sort, word: &'static str, class: &'static str) -> AnyView {
        let is_chosen = move || self.address.with(|address| address.sort == sort);
        let order = move || {
            is_chosen().then_some(if sort == Sort::Edge {
                "ascending"
            } else {
                "descending"
            })
        };
        view! {
            <th class=class aria-sort=order>
                <button class="sort" data-sort=sort.word() on:click=move |_| self.change(&|address| address.sort = sort)>
                    {word}<span aria-hidden="true">{move || if is_chosen() { " ↓" } else { "" }}</span>
                </button>
            </th>
        }
        .into_any()
    }

    fn row(self, wanted: String, longest: Memo<u64>) -> AnyView {
        let key = wanted.clone();
        let edge = Memo::new(move |_| {
            self.bill.with(|bill| {
                let edges = &bill.ready()?.edges;
                edges.iter().find(|edge| name(edge) == key).cloned()
            })
        });
        let Some(first) = edge.get_untracked() else {
            return ().into_any();
        };
        let text = move |cell: fn(&BilledEdge) -> String| move || edge.with(|edge| edge.as_ref().map(cell));
        let failing = move || edge.with(|edge| edge.as_ref().is_some_and(|edge| edge.errors > 0));
        let key = wanted.clone();
        let is_open = Memo::new(move |_| self.address.with(|address| address.open.as_ref() == Some(&key)));
        let toggle = move |_| {
            let open = (!is_open.get_untracked()).then(|| wanted.clone());
            self.change(&|address| address.open.clone_from(&open));
        };
        view! {
            <tbody class:open=move || is_open.get()>
                <tr data-edge=format!("{}-{}", first.caller, first.callee)>
                    <td>
                        <button class="row-link edge-name" data-row="" aria-expanded=move || is_open.get().to_string() on:click=toggle>
                            {tags::handler(&first.caller)}<span class="faint">" → "</span>{tags::handler(&first.callee)}
                        </button>
                        {way(edge)}
                        <span class="small bad" hidden=move || !failing()>{text(|edge| format!(" {} failed", format::count(edge.errors)))}</span>
                    </td>
                    <td class="num">{text(|edge| format::rate(edge.rate_per_s))}</td>
                    <td class="num wide">{text(|edge| format::count(edge.calls))}</td>
                    <td class="num wider faint">{text(|edge| format!("{}, {}", format::bytes(edge.call_bytes), format::bytes(edge.reply_bytes)))}</td>
                    <td class="wide stages">{move || edge.with(|edge| edge.as_ref().map(|edge| bar(edge, longest.get())))}</td>
                    <td class="num wide">{text(|edge| format::duration(edge.p50_ns))}</td>
                    <td class="num wide">{text(|edge| format::duration(edge.p99_ns))}</td>
                    <td class="num">{text(carrying)}</td>
                    <td class="num strong">{text(share)}</td>
                    <td class="num wide">{move || edge.with(|edge| edge.as_ref().map(instead))}</td>
                </tr>
                {move || is_open.get().then(|| detail::row(edge))}
            </tbody>
        }
        .into_any()
    }
}

/// The way that the calls go, and what is made of it.
fn way(edge: Memo<Option<BilledEdge>>) -> AnyView {
    let transport = move || edge.with(|edge| edge.as_ref().map_or(Transport::Direct, |edge| edge.transport));
    let asked = move || {
        edge.with(|edge| {
            let asked = edge.as_ref()?.asked?;
            Some(format!(" asked for {asked}"))
        })
    };
    view! {
        <span class=move || format!("way way-{}", transport().word())>" " {move || transport().word()}</span>
        <span class="small faint wider">{asked}</span>
    }
    .into_any()
}

fn carrying(edge: &BilledEdge) -> String {
    let sample = edge.sample.as_ref();
    sample.map_or_else(
        || "–".to_owned(),
        |sample| format::duration(sample.carried_p50_ns),
    )
}

fn share(edge: &BilledEdge) -> String {
    let sample = edge.sample.as_ref();
    sample.map_or_else(
        || "–".to_owned(),
        |sample| format::percent(sample.carried_share, 1.0),
    )
}

/// The stages on top of each other; as long as the root of what they take, so that short calls are seen beside long ones.
fn bar(edge: &BilledEdge, longest: u64) -> AnyView {
    let Some(sample) = &edge.sample else {
        return view! { <span class="small faint">{if edge.transport == Transport::Queue { "through a queue" } else { "no stored call" }}</span> }.into_any();
    };
    let parts = bill::stack(&sample.p50);
    let whole: u64 = parts.iter().map(|part| part.ns).sum();
    let length = (whole as f64 / longest.max(1) as f64).sqrt() * 100.0;
    let words: Vec<String> = parts
        .iter()
        .map(|part| format!("{} {}", part.word, format::duration(part.ns)))
        .collect();
    let pieces = parts
        .iter()
        .map(|part| {
            let width = format!("{:.2}%", part.ns as f64 / whole.max(1) as f64 * 100.0);
            view! { <i class=part.colour.class() style:width=width></i> }
        })
        .collect_view();
    view! {
        <span class="stack-bar" role="img" aria-label=words.join(", ") title=words.join(", ") style:width=format!("{length:.1}%")>{pieces}</span>
    }
    .into_any()
}

/// Cutting or joining, as a link to the map with that change proposed.
fn instead(edge: &BilledEdge) -> AnyView {
    let Some(change) = bill::change(edge) else {
        return view! { <span class="faint">"–"</span> }.into_any();
    };
    let words = match edge.sample {
        Some(_) => bill::signed(change.price.request_ns),
        None => format::duration(change.price.carried_ns),
    };
    let verb = if change.joins { "join" } else { "cut" };
    let why = format!(
        "{}: {words} a request, {}",
        change.price.rung.word(),
        bill::basis(&change.price)
    );
    view! { <a class="instead" data-change=verb href=change_path(&change) title=why>{verb} " " {words}</a> }
        .into_any()
}

fn change_path(change: &bill::Change) -> String {
    Route::Map(MapAddress {
        change: Some(Move {
            handler: change.mover.clone(),
            with: change.to.clone(),
        }),
        at_unix_ms: None,
    })
    .path()
}
