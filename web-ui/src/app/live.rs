//! `Live`: what every page shares, kept fresh by one event stream.
//!
//! Promises: one `EventSource` per page load; after a loss the lists are read again, because events may have been
//! missed; while it lasts, pages keep what they had. Snapshots are whole, so the last one is enough.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::edges::Edge;
use protocol::api::handlers::Handler;
use protocol::api::nodes::Node;
use protocol::api::placement::PlacementStatus;
use protocol::api::problem::Problem;
use protocol::api::queues::Queue;
use protocol::api::traces::TraceSummary;
use protocol::api::{Page, Status};
use protocol::{HandlerName, NodeName};
use serde::de::DeserializeOwned;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{EventSource, MessageEvent};

use super::api;
use crate::format::upright;
use crate::json;
use crate::palette::Palette;
use crate::series::Series;

/// The browser gives up on a stream that is refused; this is how long until the next try.
const RECONNECT: Duration = Duration::from_millis(1_500);
/// A loss shorter than this is not worth a banner.
const PATIENCE: Duration = Duration::from_millis(1_200);

type Heard = Closure<dyn FnMut(MessageEvent)>;

/// What the browser calls for the current stream; replaced, so that an outage of days leaks nothing.
struct Stream {
    _ends: [Closure<dyn FnMut()>; 2],
    _heard: Vec<Heard>,
}

/// What the process of a node has used, by the node's incarnation.
type CpuSeconds = BTreeMap<(NodeName, u64), f64>;

thread_local! {
    static STREAM: RefCell<Option<Stream>> = const { RefCell::new(None) };
    /// Counts what the stream brought.
    static HEARD: Cell<u32> = const { Cell::new(0) };
    /// When nodes were seen last, and the CPU that each process had used by then.
    static CPU_BEFORE: RefCell<(f64, CpuSeconds)> = const { RefCell::new((0.0, BTreeMap::new())) };
}

/// Something that is fetched.
#[derive(Debug, Clone, PartialEq)]
pub enum Remote<T> {
    /// Not here yet.
    Loading,
    /// Here.
    Ready(T),
    /// Not to be had.
    Failed(Problem),
}

impl<T> Remote<T> {
    /// Whether it is on its way for the first time.
    pub fn is_loading(&self) -> bool {
        matches!(self, Self::Loading)
    }

    /// The value, once it is here.
    pub fn ready(&self) -> Option<&T> {
        match self {
            Self::Ready(value) => Some(value),
            _ => None,
        }
    }
}

/// A list that is kept fresh.
pub type List<T> = RwSignal<Remote<Vec<T>>>;

/// The shared signals.
#[derive(Clone, Copy)]
pub struct Live {
    pub handlers: List<Handler>,
    pub nodes: List<Node>,
    pub edges: List<Edge>,
    pub queues: List<Queue>,
    pub placement: RwSignal<Remote<PlacementStatus>>,
    pub status: RwSignal<Option<Status>>,
    /// The traces of the last event.
    pub fresh: RwSignal<Vec<TraceSummary>>,
    /// Since when the stream is lost, in ms since the epoch.
    pub lost: RwSignal<Option<f64>>,
    /// Counts recoveries; a page that shows something else than these lists reads it again when this changes.
    pub recoveries: RwSignal<u32>,
    /// Hues by handler.
    pub palette: Memo<Palette>,
    /// The share of one core that each node's process used between the last two snapshots.
    pub cpu: RwSignal<BTreeMap<NodeName, f64>>,
    /// What each node used since this page was opened: CPU as a share of a core, memory in bytes.
    pub usage: RwSignal<BTreeMap<NodeName, [Series; 2]>>,
}

/// The shared signals of this page.
pub fn live() -> Live {
    expect_context()
}

impl Live {
    /// Reads everything once and follows the stream.
    pub fn start() -> Self {
        let handlers: List<Handler> = RwSignal::new(Remote::Loading);
        let live = Self {
            handlers,
            nodes: RwSignal::new(Remote::Loading),
            edges: RwSignal::new(Remote::Loading),
            queues: RwSignal::new(Remote::Loading),
            placement: RwSignal::new(Remote::Loading),
            status: RwSignal::new(None),
            fresh: RwSignal::new(Vec::new()),
            lost: RwSignal::new(None),
            recoveries: RwSignal::new(0),
            palette: Memo::new(move |_| {
                handlers.with(|list| match list.ready() {
                    Some(list) => Palette::new(list.iter().map(|handler| &handler.name)),
                    None => Palette::default(),
                })
            }),
            cpu: RwSignal::new(BTreeMap::new()),
            usage: RwSignal::new(BTreeMap::new()),
        };
        live.read_all();
        live.connect();
        live
    }

    /// Reads every list again.
    pub fn read_all(self) {
        read_list("handlers", self.handlers);
        read_list("nodes", self.nodes);
        read_list("edges", self.edges);
        read_list("queues", self.queues);
        self.read_placement();
        let (status, before) = (self.status, HEARD.get());
        spawn_local(async move {
            if let Ok(now) = api::get("status").await
                && (HEARD.get() == before || status.with_untracked(Option::is_none))
            {
                status.set(Some(now));
            }
        });
    }

    /// Reads the placement without waiting for the stream, as who changed it wants to see.
    pub fn read_placement(self) {
        read("placement", self.placement, |placement| placement);
    }

    /// The class of a handler's hue, for use in a view.
    pub fn hue(self, name: HandlerName) -> impl Fn() -> &'static str + Clone + Send + Sync {
        move || self.palette.with(|palette| palette.class(&name))
    }

    fn connect(self) {
        let Ok(source) = EventSource::new("/api/v1/events") else {
            return;
        };
        let opened = Closure::<dyn FnMut()>::new(move || {
            if self.lost.get_untracked().is_some() {
                self.lost.set(None);
                self.recoveries.update(|count| *count += 1);
                self.read_all();
            }
        });
        source.set_onopen(Some(opened.as_ref().unchecked_ref()));
        let failing = source.clone();
        let failed = Closure::<dyn FnMut()>::new(move || {
            // The browser reconnects by itself unless the answer was no stream; one way for both is easier to trust.
            failing.close();
            if self.lost.get_untracked().is_none() {
                self.lost.set(Some(js_sys::Date::now()));
            }
            set_timeout(move || self.connect(), RECONNECT);
        });
        source.set_onerror(Some(failed.as_ref().unchecked_ref()));
        let heard = self.listen(&source);
        STREAM.set(Some(Stream {
            _ends: [opened, failed],
            _heard: heard,
        }));
    }

    fn listen(self, source: &EventSource) -> Vec<Heard> {
        vec![
            on(source, "handlers", self, |live, text| set(live.handlers, text)),
            on(source, "nodes", self, |live, text| {
                let Ok(nodes) = json::from_str::<Vec<Node>>(text) else {
                    return;
                };
                live.measure(&nodes);
                live.nodes.set(Remote::Ready(nodes));
            }),
            on(source, "edges", self, |live, text| set(live.edges, text)),
            on(source, "queues", self, |live, text| set(live.queues, text)),
            on(source, "placement", self, |live, text| set(live.placement, text)),
            on(source, "traces", self, |live, text| {
                if let Ok(traces) = json::from_str(text) {
                    live.fresh.set(traces);
                }
            }),
            on(source, "status", self, |live, text| {
                if let Ok(status) = json::from_str(text) {
                    live.status.set(Some(status));
                }
            }),
            on(source, "lagged", self, |live, _| {
                live.recoveries.update(|count| *count += 1);
                live.read_all();
            }),
        ]
    }

    /// CPU between two snapshots of a process; a new process begins anew.
    fn measure(self, nodes: &[Node]) {
        let now = js_sys::Date::now();
        let mut shares = BTreeMap::new();
        CPU_BEFORE.with_borrow_mut(|(then, before)| {
            let seconds = (now - *then) / 1e3;
            let mut next = BTreeMap::new();
            for node in nodes {
                let key = (node.name.clone(), node.incarnation);
                if let Some(used) = before.get(&key)
                    && seconds > 0.2
                {
                    shares.insert(node.name.clone(), ((node.cpu_seconds - used) / seconds).max(0.0));
                }
                next.insert(key, node.cpu_seconds);
            }
            (*then, *before) = (now, next);
        });
        self.usage.update(|usage| {
            usage.retain(|name, _| nodes.iter().any(|node| node.name == *name));
            for node in nodes {
                let [cpu, memory] = usage.entry(node.name.clone()).or_default();
                cpu.push(shares.get(&node.name).copied().unwrap_or_default());
                memory.push(node.resident_bytes as f64);
            }
        });
        self.cpu.set(shares);
    }

    /// Whether the stream has been lost long enough to say so; checked by the banner.
    pub fn lost_for_long(self) -> bool {
        self.lost
            .get_untracked()
            .is_some_and(|since| js_sys::Date::now() - since >= PATIENCE.as_millis() as f64)
    }
}

fn on(source: &EventSource, name: &str, live: Live, act: fn(Live, &str)) -> Heard {
    let heard = Heard::new(move |event: MessageEvent| {
        if let Some(text) = event.data().as_string() {
            HEARD.set(HEARD.get().wrapping_add(1));
            act(live, &upright(text));
        }
    });
    // Fails only where the browser has no events at all.
    let _ = source.add_event_listener_with_callback(name, heard.as_ref().unchecked_ref());
    heard
}

fn set<T: DeserializeOwned + Send + Sync + 'static>(signal: RwSignal<Remote<T>>, text: &str) {
    if let Ok(value) = json::from_str(text) {
        signal.set(Remote::Ready(value));
    }
}

fn read_list<T: DeserializeOwned + Send + Sync + 'static>(path: &'static str, list: List<T>) {
    read(path, list, |page: Page<T>| page.items);
}

/// Reads something that the stream tells as well. The stream begins with all there is and goes on with what changes, so
/// once it has spoken, an answer that was under way meanwhile may be older than what is shown, and nothing would correct it.
fn read<A, T>(path: &'static str, signal: RwSignal<Remote<T>>, of: fn(A) -> T)
where
    A: DeserializeOwned + 'static,
    T: Send + Sync + 'static,
{
    let before = HEARD.get();
    spawn_local(async move {
        let answer = api::get::<A>(path).await;
        let is_shown = signal.try_with_untracked(|now| now.ready().is_some()) == Some(true);
        if HEARD.get() == before || !is_shown {
            keep(signal, answer.map(of));
        }
    });
}

/// Sets a result; a failure never takes the place of something that is already shown.
pub fn keep<T: Send + Sync + 'static>(signal: RwSignal<Remote<T>>, result: Result<T, Problem>) {
    match result {
        Ok(value) => signal.set(Remote::Ready(value)),
        // The page that asked may be gone: then there is nothing to keep it in.
        Err(problem) if signal.try_with_untracked(|now| now.ready().is_none()) == Some(true) => {
            signal.set(Remote::Failed(problem))
        }
        Err(_) => {}
    }
}
