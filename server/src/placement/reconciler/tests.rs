//! The reconciler against a fleet that only writes down what it is told, and answers when the test lets it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;

use protocol::api::placement::Mode;
use protocol::control::{Limits, Routes};
use tokio::sync::Notify;

use super::*;
use crate::placement::{Deployed, Desired, Kept};
use crate::shutdown::Tasks;

const REPLICAS: Kept = Kept {
    replicas: true,
    edges: false,
};
const WATCHDOG: Duration = Duration::from_secs(3_600);

/// What the fleet was told, and what it shall do.
#[derive(Default)]
struct Book {
    log: Vec<String>,
    routes: Option<Arc<Routes>>,
    /// Nodes whose start or load does not end until they are let go.
    held: BTreeSet<String>,
    /// Nodes whose start fails, with the reason.
    broken_start: BTreeMap<String, String>,
    /// Handlers that cannot be loaded, with the reason.
    broken_load: BTreeMap<HandlerName, String>,
    starts: u64,
    undone: VecDeque<String>,
}

#[derive(Clone, Default)]
struct FakeFleet {
    book: Arc<Mutex<Book>>,
    changed: Arc<Notify>,
}

/// Writes down that a start was dropped before it ended.
struct Undo<'a> {
    fleet: &'a FakeFleet,
    name: String,
    done: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.fleet.write(|book| book.undone.push_back(self.name.clone()));
        }
    }
}

impl FakeFleet {
    fn write<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        let value = change(&mut self.book.lock().unwrap());
        self.changed.notify_waiters();
        value
    }

    fn read<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.book.lock().unwrap())
    }

    /// Waits until the book is as wanted; time stands still or is skipped, so it costs nothing.
    async fn until(&self, what: &str, wanted: impl Fn(&Book) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.read(&wanted) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(WATCHDOG, wait).await.is_err() {
            panic!("{what} never came: {:?}", self.read(|book| book.log.clone()));
        }
    }

    fn log(&self) -> Vec<String> {
        self.read(|book| book.log.clone())
    }

    fn forget(&self) {
        self.write(|book| book.log.clear());
    }
}

impl Fleet for FakeFleet {
    async fn start(&self, spec: NodeSpec) -> Result<NodeRoute, String> {
        let name = spec.name.to_string();
        let mut undo = Undo {
            fleet: self,
            name: name.clone(),
            done: false,
        };
        self.write(|book| book.log.push(format!("start {name}")));
        self.until("its release", |book| !book.held.contains(&name)).await;
        undo.done = true;
        self.write(|book| {
            book.starts += 1;
            match book.broken_start.get(&name) {
                Some(reason) => Err(reason.clone()),
                None => Ok(route(&name, book.starts)),
            }
        })
    }

    async fn prepare(
        &self,
        node: NodeRoute,
        routes: Arc<Routes>,
    ) -> Result<Vec<(HandlerName, String)>, String> {
        let assigned: Vec<_> = routes
            .handlers
            .iter()
            .filter(|handler| handler.node == node.name)
            .collect();
        let held = format!("load {}", node.name);
        self.write(|book| book.log.push(held.clone()));
        self.until("its release", |book| !book.held.contains(&held)).await;
        let name = |handler: &&protocol::control::HandlerRoute| handler.name.clone();
        let assigned: Vec<HandlerName> = assigned.iter().map(name).collect();
        let broken = |book: &Book| {
            let broken = book
                .broken_load
                .iter()
                .filter(|(handler, _)| assigned.contains(handler));
            broken
                .map(|(handler, reason)| (handler.clone(), reason.clone()))
                .collect()
        };
        Ok(self.read(broken))
    }

    async fn publish(&self, routes: Arc<Routes>) {
        let served = routes
            .handlers
            .iter()
            .map(|handler| format!("{}@{}", handler.name, handler.node));
        let served: Vec<String> = served.collect();
        self.write(|book| {
            if let Some(before) = &book.routes {
                assert!(
                    before.generation < routes.generation,
                    "routes are numbered upwards"
                );
            }
            book.log.push(format!("publish {}", served.join(" ")));
            book.routes = Some(routes);
        });
    }

    async fn drain(&self, node: NodeName) {
        self.write(|book| book.log.push(format!("drain {node}")));
        let held = format!("drain {node}");
        self.until("its release", |book| !book.held.contains(&held)).await;
        self.write(|book| book.log.push(format!("gone {node}")));
    }
}

fn route(name: &str, incarnation: u64) -> NodeRoute {
    NodeRoute {
        name: node(name),
        address: SocketAddr::from(([127, 0, 0, 1], 4_000 + incarnation as u16)),
        incarnation,
    }
}

fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

fn handler(name: &str) -> HandlerName {
    HandlerName::parse(name).unwrap()
}

fn inventory(names: &[&str]) -> Inventory {
    let deployed = |name: &&str| Deployed {
        name: handler(name),
        artifact: String::new(),
        http: false,
        limits: Limits::default(),
        grants: Default::default(),
        calls: Vec::new(),
        bound_to: Vec::new(),
        waiting: false,
    };
    Inventory {
        handlers: names.iter().map(deployed).collect(),
        ..Inventory::default()
    }
}

fn mode(mode: Mode) -> Placement {
    Placement {
        mode,
        ..Placement::default()
    }
}

fn together() -> Placement {
    mode(Mode::Together)
}

fn apart() -> Placement {
    mode(Mode::Apart)
}

fn group(names: &[&str]) -> Placement {
    Placement {
        mode: Mode::Groups,
        groups: vec![names.iter().map(|name| handler(name)).collect()],
        ..Placement::default()
    }
}

struct House {
    fleet: FakeFleet,
    desired: Desired,
    events: mpsc::Sender<NodeEvent>,
    tasks: Tasks,
}

impl House {
    /// A house that begins with a placement and has not looked at it yet.
    fn build(fleet: FakeFleet, start: Placement, handlers: &[&str]) -> Self {
        let (desired, intake) = Desired::channel(together(), start, inventory(handlers));
        let (events, events_out) = mpsc::channel(16);
        let reconciler = Reconciler::new(Arc::new(fleet.clone()), route("home", 0), intake, events_out);
        let tasks = Tasks::new();
        tasks.spawn("placement", reconciler.run(tasks.token()));
        Self {
            fleet,
            desired,
            events,
            tasks,
        }
    }

    /// A house with cart and ad, in which a placement is in force.
    async fn settled(start: Placement) -> Self {
        let house = Self::build(FakeFleet::default(), start, &["ad", "cart"]);
        house.until("a settled start", |status| status.settled).await;
        house.fleet.forget();
        house
    }

    async fn until(&self, what: &str, wanted: impl Fn(&PlacementStatus) -> bool) {
        let mut changes = self.desired.changes();
        let wait = async {
            while !wanted(&self.desired.status()) {
                changes.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(WATCHDOG, wait).await.is_err() {
            panic!(
                "{what} never came: {:#?} after {:?}",
                self.desired.status(),
                self.fleet.log()
            );
        }
    }

    fn put(&self, placement: Placement) -> u64 {
        self.desired.put(placement).unwrap().generation
    }

    async fn settle(&self) {
        self.until("settling", |status| status.settled).await;
    }

    fn state(&self, name: &str) -> String {
        self.desired.status().handlers[&handler(name)].state.clone()
    }

    async fn event(&self, event: NodeEvent) {
        self.events.send(event).await.unwrap();
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

fn down(name: &str, incarnation: u64) -> NodeEvent {
    NodeEvent::Down {
        node: node(name),
        incarnation,
        reason: "killed (signal 9)".to_owned(),
    }
}

fn position(log: &[String], entry: &str) -> usize {
    log.iter()
        .position(|line| line == entry)
        .unwrap_or_else(|| panic!("no `{entry}` in {log:?}"))
}

#[tokio::test(start_paused = true)]
async fn a_move_starts_and_loads_the_new_then_publishes_then_drains_the_old() {
    let house = House::settled(together()).await;
    assert_eq!(house.put(apart()), 2);
    assert!(!house.desired.status().settled);
    house.settle().await;
    let log = house.fleet.log();
    let publish = position(&log, "publish ad@ad cart@cart");
    for before in ["start ad", "start cart", "load ad", "load cart", "load home"] {
        assert!(position(&log, before) < publish, "{log:?}");
    }
    assert!(
        position(&log, "start cart") < position(&log, "load ad"),
        "all run before one loads: {log:?}"
    );
    assert_eq!(log.len(), 6);
    let status = house.desired.status();
    assert_eq!((status.actual_generation, status.actual), (2, apart()));
    assert_eq!(status.handlers[&handler("cart")].node, Some(node("cart")));

    house.fleet.forget();
    house.put(together());
    house.settle().await;
    house
        .fleet
        .until("the drains", |book| {
            book.log.iter().filter(|line| line.starts_with("gone")).count() == 2
        })
        .await;
    let log = house.fleet.log();
    let publish = position(&log, "publish ad@home cart@home");
    assert!(position(&log, "load home") < publish);
    assert!(
        publish < position(&log, "drain ad") && publish < position(&log, "drain cart"),
        "{log:?}"
    );
    assert_eq!(
        house
            .fleet
            .read(|book| book.routes.as_ref().unwrap().placement.clone()),
        "together"
    );
}

#[tokio::test(start_paused = true)]
async fn nodes_that_both_placements_have_are_left_alone() {
    let house = House::settled(apart()).await;
    house.put(group(&["cart"]));
    house.settle().await;
    house
        .fleet
        .until("the drain", |book| book.log.contains(&"gone ad".to_owned()))
        .await;
    let log = house.fleet.log();
    assert_eq!(
        log,
        ["load home", "publish ad@home cart@cart", "drain ad", "gone ad"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_later_placement_supersedes_one_on_its_way_and_keeps_what_fits() {
    let fleet = FakeFleet::default();
    fleet.write(|book| book.held.insert("ad".to_owned()));
    let house = House::build(fleet, together(), &["ad", "cart"]);
    house.settle().await;
    house.fleet.forget();
    house.put(apart());
    house
        .fleet
        .until("both starts", |book| book.log.len() >= 2 && book.starts == 1)
        .await;
    let generation = house.put(group(&["cart"]));
    house.settle().await;
    assert_eq!(house.desired.status().actual_generation, generation);
    let log = house.fleet.log();
    assert_eq!(
        log.iter().filter(|line| *line == "start cart").count(),
        1,
        "{log:?}"
    );
    assert!(log.contains(&"publish ad@home cart@cart".to_owned()), "{log:?}");
    assert!(
        !log.iter().any(|line| line.contains("@ad")),
        "the superseded routes were never published: {log:?}"
    );
    house
        .fleet
        .until("the undone start", |book| book.undone == ["ad"])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_superseded_node_that_runs_already_is_drained() {
    let house = House::settled(together()).await;
    house.fleet.write(|book| book.held.insert("load ad".to_owned()));
    house.put(apart());
    house
        .fleet
        .until("the load", |book| book.log.contains(&"load ad".to_owned()))
        .await;
    house.put(together());
    house.settle().await;
    house
        .fleet
        .until("the drains", |book| {
            book.log.iter().filter(|line| line.starts_with("gone")).count() == 2
        })
        .await;
    assert!(!house.fleet.log().iter().any(|line| line.contains("@ad")));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_start_leaves_the_old_placement_in_force() {
    let house = House::settled(together()).await;
    house.fleet.write(|book| {
        book.broken_start
            .insert("cart".to_owned(), "port in use".to_owned())
    });
    house.put(apart());
    house.until("the error", |status| status.error.is_some()).await;
    let status = house.desired.status();
    assert_eq!(status.error.as_deref(), Some("node `cart`: port in use"));
    assert_eq!(
        (status.generation, status.actual_generation, status.settled),
        (2, 1, false)
    );
    assert_eq!(status.actual, together());
    assert_eq!(house.state("cart"), "serving");
    let log = house.fleet.log();
    assert!(!log.iter().any(|line| line.contains("@cart")), "{log:?}");
    // The next wish is free to succeed, and clears the error.
    house.fleet.write(|book| book.broken_start.clear());
    house.put(apart());
    house.settle().await;
    assert_eq!(house.desired.status().error, None);
    assert_eq!(house.desired.status().actual_generation, 3);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_takes_too_long_fails_and_is_undone() {
    let house = House::settled(together()).await;
    house.fleet.write(|book| book.held.insert("cart".to_owned()));
    house.put(apart());
    house.until("the error", |status| status.error.is_some()).await;
    assert_eq!(
        house.desired.status().error.as_deref(),
        Some("node `cart`: did not start within 20s")
    );
    house
        .fleet
        .until("the undone start", |book| book.undone == ["cart"])
        .await;
    house
        .fleet
        .until("the other's drain", |book| {
            book.log.contains(&"gone ad".to_owned())
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_load_fails_the_move_by_name() {
    let house = House::settled(together()).await;
    house.fleet.write(|book| {
        book.broken_load
            .insert(handler("cart"), "cache is gone".to_owned())
    });
    house.put(apart());
    house.until("the error", |status| status.error.is_some()).await;
    let error = house.desired.status().error.unwrap();
    assert_eq!(error, "node `cart`: handler `cart`: cache is gone");
    assert_eq!(house.state("ad"), "serving");
}

#[tokio::test(start_paused = true)]
async fn a_new_node_that_dies_while_moving_fails_the_move() {
    let house = House::settled(together()).await;
    house.fleet.write(|book| book.held.insert("load cart".to_owned()));
    house.put(apart());
    house
        .fleet
        .until("the load", |book| book.log.contains(&"load cart".to_owned()))
        .await;
    for incarnation in [1, 2] {
        // Whichever of the two starts was cart's.
        house.event(down("cart", incarnation)).await;
    }
    house.until("the error", |status| status.error.is_some()).await;
    assert_eq!(
        house.desired.status().error.as_deref(),
        Some("node `cart`: killed (signal 9)")
    );
    house
        .fleet
        .until("the drain", |book| book.log.contains(&"gone cart".to_owned()))
        .await;
    assert_eq!(house.desired.status().actual, together());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_before_its_start_was_reported_fails_the_move_too() {
    let house = House::settled(together()).await;
    house.fleet.write(|book| book.held.insert("ad".to_owned()));
    house.put(group(&["ad"]));
    house
        .fleet
        .until("the start", |book| book.log.contains(&"start ad".to_owned()))
        .await;
    house.event(down("ad", 1)).await;
    while house.events.capacity() < house.events.max_capacity() {
        tokio::task::yield_now().await;
    }
    house.fleet.write(|book| book.held.clear());
    house.until("the error", |status| status.error.is_some()).await;
    assert_eq!(
        house.desired.status().error.as_deref(),
        Some("node `ad`: killed (signal 9)")
    );
}

#[tokio::test(start_paused = true)]
async fn an_old_node_that_dies_while_moving_does_not_hold_the_move_up() {
    let house = House::settled(apart()).await;
    let incarnation = incarnation_of(&house, "cart");
    house.fleet.write(|book| book.held.insert("load home".to_owned()));
    house.put(together());
    house
        .fleet
        .until("the load", |book| book.log.contains(&"load home".to_owned()))
        .await;
    house.event(down("cart", incarnation)).await;
    house
        .until("the death", |status| {
            status.handlers[&handler("cart")].state == "down"
        })
        .await;
    house.fleet.write(|book| book.held.clear());
    house.settle().await;
    assert_eq!(house.desired.status().actual, together());
}

fn incarnation_of(house: &House, name: &str) -> u64 {
    let routes = house.fleet.read(|book| book.routes.clone()).unwrap();
    routes
        .nodes
        .iter()
        .find(|route| route.name == node(name))
        .unwrap()
        .incarnation
}

#[tokio::test(start_paused = true)]
async fn a_serving_node_that_dies_is_loaded_again_when_it_is_back_and_then_published() {
    let house = House::settled(apart()).await;
    let incarnation = incarnation_of(&house, "cart");
    house.event(down("cart", incarnation)).await;
    house
        .until("the death", |status| {
            status.handlers[&handler("cart")].state == "down"
        })
        .await;
    assert!(!house.desired.status().settled);
    assert_eq!(house.state("ad"), "serving");
    assert_eq!(house.fleet.log(), Vec::<String>::new());
    house.event(NodeEvent::Up(route("cart", incarnation + 10))).await;
    house.settle().await;
    assert_eq!(house.fleet.log(), ["load cart", "publish ad@ad cart@cart"]);
    assert_eq!(incarnation_of(&house, "cart"), incarnation + 10);
    // Late news of the old incarnation change nothing.
    house.event(down("cart", incarnation)).await;
    house.event(NodeEvent::Up(route("cart", incarnation))).await;
    while house.events.capacity() < house.events.max_capacity() {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.state("cart"), "serving");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_again_while_it_loads_is_awaited_again() {
    let house = House::settled(apart()).await;
    let incarnation = incarnation_of(&house, "cart");
    house.fleet.write(|book| book.held.insert("load cart".to_owned()));
    house.event(down("cart", incarnation)).await;
    house.event(NodeEvent::Up(route("cart", 11))).await;
    house.fleet.until("the load", |book| book.log.len() == 1).await;
    house.event(down("cart", 11)).await;
    house.event(NodeEvent::Up(route("cart", 12))).await;
    house
        .fleet
        .until("the second load", |book| book.log.len() == 2)
        .await;
    house.fleet.write(|book| book.held.clear());
    house.settle().await;
    assert_eq!(incarnation_of(&house, "cart"), 12);
}

#[tokio::test(start_paused = true)]
async fn a_node_waits_for_its_namesake_to_be_gone() {
    let house = House::settled(apart()).await;
    house
        .fleet
        .write(|book| book.held.insert("drain cart".to_owned()));
    house.put(together());
    house.settle().await;
    house.put(apart());
    house
        .fleet
        .until("the other node", |book| book.log.contains(&"start ad".to_owned()))
        .await;
    assert!(!house.fleet.log().contains(&"start cart".to_owned()));
    house.fleet.write(|book| book.held.clear());
    house.settle().await;
    let log = house.fleet.log();
    assert!(
        position(&log, "gone cart") < position(&log, "start cart"),
        "{log:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn handlers_that_come_and_go_get_and_lose_their_nodes() {
    let house = House::settled(apart()).await;
    house.desired.set_inventory(inventory(&["ad", "cart", "email"]));
    house
        .until("the new handler", |status| {
            status.handlers.len() == 3 && status.settled
        })
        .await;
    let log = house.fleet.log();
    assert!(
        position(&log, "start email") < position(&log, "publish ad@ad cart@cart email@email"),
        "{log:?}"
    );
    house.fleet.forget();
    house.desired.set_inventory(inventory(&["ad", "email"]));
    house
        .until("its end", |status| status.handlers.len() == 2 && status.settled)
        .await;
    house
        .fleet
        .until("the drain", |book| book.log.contains(&"gone cart".to_owned()))
        .await;
    assert_eq!(
        house.fleet.log(),
        [
            "load home",
            "publish ad@ad email@email",
            "drain cart",
            "gone cart"
        ]
    );
    assert_eq!(house.desired.status().generation, 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handler_that_does_not_start_harms_nobody_and_is_tried_again() {
    let house = House::settled(apart()).await;
    house.fleet.write(|book| {
        book.broken_start
            .insert("email".to_owned(), "no memory".to_owned())
    });
    house
        .desired
        .set_inventory(inventory(&["ad", "cart", "email", "payment"]));
    house.until("the error", |status| status.error.is_some()).await;
    assert_eq!(
        house.desired.status().error.as_deref(),
        Some("node `email`: no memory")
    );
    assert_eq!(
        (house.state("payment"), house.state("email")),
        ("serving".to_owned(), "down".to_owned())
    );
    house.fleet.write(|book| book.broken_start.clear());
    house.settle().await;
    assert_eq!(house.desired.status().error, None);
    assert_eq!(house.state("email"), "serving");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_handler_has_a_place_and_no_node_until_it_can_be_served() {
    let mut handlers = inventory(&["ad", "cart"]);
    handlers.handlers[1].waiting = true;
    let house = House::settled(apart()).await;
    house.desired.set_inventory(handlers);
    house
        .until("waiting", |status| {
            status.settled && status.handlers[&handler("cart")].state == "waiting"
        })
        .await;
    let place = house.desired.status().handlers[&handler("cart")].clone();
    assert_eq!((place.node, place.desired_node), (None, node("cart")));
    house.desired.set_inventory(inventory(&["ad", "cart"]));
    house
        .until("serving", |status| {
            status.settled && status.handlers[&handler("cart")].state == "serving"
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_move_dropped_handlers_are_served_by_the_placement_in_force() {
    let house = House::settled(together()).await;
    house.fleet.write(|book| {
        book.broken_start
            .insert("cart".to_owned(), "port in use".to_owned())
    });
    house.put(apart());
    house.until("the error", |status| status.error.is_some()).await;
    house.desired.set_inventory(inventory(&["ad", "cart", "email"]));
    let served = |book: &Book| {
        book.log
            .last()
            .is_some_and(|line| line == "publish ad@home cart@home email@home")
    };
    house.fleet.until("the new routes", served).await;
    house
        .until("serving", |status| {
            status
                .handlers
                .get(&handler("email"))
                .is_some_and(|place| place.node.is_some())
        })
        .await;
    let status = house.desired.status();
    assert_eq!((status.generation, status.actual_generation), (2, 1));
    assert_eq!(status.error.as_deref(), Some("node `cart`: port in use"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let house = House::settled(together()).await;
    let refused = house.desired.put(group(&["crt"])).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no handler is called `crt`; did you mean `cart`?"
    );
    assert_eq!(house.desired.status().generation, 1);
    assert!(house.desired.status().settled);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_a_returning_node_cannot_load_is_down_unrouted_and_tried_again() {
    let house = House::settled(group(&["ad", "cart"])).await;
    let incarnation = incarnation_of(&house, "ad-cart");
    house.fleet.write(|book| {
        book.broken_load
            .insert(handler("cart"), "cache is gone".to_owned())
    });
    house.event(down("ad-cart", incarnation)).await;
    house
        .event(NodeEvent::Up(route("ad-cart", incarnation + 1)))
        .await;
    let without = |book: &Book| book.log.contains(&"publish ad@ad-cart".to_owned());
    house.fleet.until("routes without it", without).await;
    // A change that does not touch the node does not make the handler whole.
    house.desired.set_inventory(inventory(&["ad", "cart", "email"]));
    let others = |book: &Book| book.log.contains(&"publish ad@ad-cart email@home".to_owned());
    house.fleet.until("routes with the other", others).await;
    house
        .until("the death", |status| {
            status.handlers[&handler("cart")].state == "down"
        })
        .await;
    house.fleet.write(|book| book.broken_load.clear());
    house.settle().await;
    let whole = |book: &Book| {
        book.log
            .contains(&"publish ad@ad-cart cart@ad-cart email@home".to_owned())
    };
    house.fleet.until("routes with it", whole).await;
    house.until("no error", |status| status.error.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_returning_node_that_loads_nothing_is_tried_again_though_handlers_come() {
    let house = House::settled(apart()).await;
    let incarnation = incarnation_of(&house, "cart");
    house.fleet.write(|book| book.held.insert("load cart".to_owned()));
    house.event(down("cart", incarnation)).await;
    house.event(NodeEvent::Up(route("cart", incarnation + 10))).await;
    house
        .fleet
        .until("the load", |book| book.log.contains(&"load cart".to_owned()))
        .await;
    tokio::time::sleep(PREPARE_LIMIT + Duration::from_secs(1)).await;
    house.desired.set_inventory(inventory(&["ad", "cart", "email"]));
    house
        .fleet
        .until("the other", |book| book.log.contains(&"start email".to_owned()))
        .await;
    assert_eq!(house.state("cart"), "down");
    house.fleet.write(|book| book.held.clear());
    house.settle().await;
    assert_eq!(incarnation_of(&house, "cart"), incarnation + 10);
}

/// The handlers, of which cart has this version.
fn with_cart(artifact: &str) -> Inventory {
    let mut handlers = inventory(&["ad", "cart"]);
    artifact.clone_into(&mut handlers.handlers[1].artifact);
    handlers
}

fn version_of(book: &Book, name: &str) -> Option<String> {
    let routes = book.routes.as_ref()?;
    let route = routes.handlers.iter().find(|route| route.name == handler(name))?;
    Some(route.artifact.clone())
}

#[tokio::test(start_paused = true)]
async fn a_newer_version_is_loaded_where_it_is_served_before_routes_name_it() {
    let house = House::settled(apart()).await;
    house.fleet.write(|book| book.held.insert("load cart".to_owned()));
    house.desired.set_inventory(with_cart("second"));
    house
        .fleet
        .until("the load", |book| book.log.contains(&"load cart".to_owned()))
        .await;
    assert_eq!(
        house.fleet.read(|book| version_of(book, "cart")).as_deref(),
        Some("")
    );
    house.fleet.write(|book| book.held.clear());
    house
        .fleet
        .until("the version", |book| {
            version_of(book, "cart").as_deref() == Some("second")
        })
        .await;
    house.settle().await;
    let log = house.fleet.log();
    let publish = position(&log, "publish ad@ad cart@cart");
    assert!(
        position(&log, "load cart") < publish && !log.contains(&"load ad".to_owned()),
        "{log:?}"
    );
    assert!(
        !log.iter()
            .any(|line| line.starts_with("drain") || line.starts_with("start")),
        "{log:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_that_cannot_be_loaded_leaves_the_one_before_it_and_is_tried_again() {
    let house = House::settled(apart()).await;
    house.fleet.write(|book| {
        book.broken_load
            .insert(handler("cart"), "cache is gone".to_owned())
    });
    house.desired.set_inventory(with_cart("second"));
    house.until("the error", |status| status.error.is_some()).await;
    assert_eq!(
        house.desired.status().error.as_deref(),
        Some("the newer version of `cart` cannot be loaded, the one before it serves: cache is gone")
    );
    assert_eq!(house.state("cart"), "serving");
    assert_eq!(
        house.fleet.read(|book| version_of(book, "cart")).as_deref(),
        Some("")
    );
    house.fleet.write(|book| book.broken_load.clear());
    house
        .fleet
        .until("the version", |book| {
            version_of(book, "cart").as_deref() == Some("second")
        })
        .await;
    house.until("no error", |status| status.error.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_while_it_loads_a_version_holds_nobody_up() {
    let house = House::settled(apart()).await;
    let incarnation = incarnation_of(&house, "cart");
    house.fleet.write(|book| book.held.insert("load cart".to_owned()));
    house.desired.set_inventory(with_cart("second"));
    house
        .fleet
        .until("the load", |book| book.log.contains(&"load cart".to_owned()))
        .await;
    house.event(down("cart", incarnation)).await;
    house
        .fleet
        .until("the version", |book| {
            version_of(book, "cart").as_deref() == Some("second")
        })
        .await;
    assert_eq!(house.state("ad"), "serving");
    house.fleet.write(|book| book.held.clear());
    house.event(NodeEvent::Up(route("cart", incarnation + 1))).await;
    house.settle().await;
}

fn scaled(start: Placement, name: &str, wanted: u32) -> Placement {
    let replicas = [(handler(name), wanted)].into();
    Placement { replicas, ..start }
}

#[tokio::test(start_paused = true)]
async fn scaling_leaves_the_nodes_that_stay_alone() {
    let house = House::settled(apart()).await;
    house.desired.scale(&[(handler("cart"), 3)].into()).unwrap();
    house.settle().await;
    let log = house.fleet.log();
    let publish = position(&log, "publish ad@ad cart@cart cart@cart-2 cart@cart-3");
    for before in ["start cart-2", "start cart-3", "load cart-2", "load cart-3"] {
        assert!(position(&log, before) < publish, "{log:?}");
    }
    assert!(
        !log.iter()
            .any(|line| line == "start cart" || line == "load cart" || line == "start ad"),
        "{log:?}"
    );
    let place = house.desired.status().handlers[&handler("cart")].clone();
    assert_eq!(place.nodes, ["cart", "cart-2", "cart-3"].map(node));
    assert_eq!(house.desired.status().desired, scaled(apart(), "cart", 3));

    house.fleet.forget();
    house.desired.scale(&[(handler("cart"), 1)].into()).unwrap();
    house.settle().await;
    house
        .fleet
        .until("the drains", |book| {
            book.log.iter().filter(|line| line.starts_with("gone")).count() == 2
        })
        .await;
    let log = house.fleet.log();
    let publish = position(&log, "publish ad@ad cart@cart");
    assert!(
        publish < position(&log, "drain cart-2") && publish < position(&log, "drain cart-3"),
        "{log:?}"
    );
    assert_eq!(house.desired.status().desired, apart());
}

#[tokio::test(start_paused = true)]
async fn replicas_stay_wanted_while_a_placement_has_no_use_for_them() {
    let house = House::settled(scaled(apart(), "cart", 2)).await;
    house.desired.put_beside(together(), REPLICAS).unwrap();
    house.settle().await;
    let status = house.desired.status();
    assert_eq!(status.desired, scaled(together(), "cart", 2));
    assert!(
        status.notes[0].contains("one replica instead of 2"),
        "{:?}",
        status.notes
    );
    let refused = house.desired.scale(&[(handler("cart"), 2)].into()).unwrap_err();
    assert!(refused.to_string().contains("nodes of their own"), "{refused}");
    house.desired.put_beside(apart(), REPLICAS).unwrap();
    house.settle().await;
    assert_eq!(house.desired.status().handlers[&handler("cart")].nodes.len(), 2);
    assert!(house.desired.status().notes.is_empty());
    house.put(apart());
    house.settle().await;
    assert_eq!(house.desired.status().handlers[&handler("cart")].nodes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_replicas_the_one_that_dies_or_does_not_load_is_down_alone() {
    let house = House::settled(scaled(apart(), "cart", 2)).await;
    let incarnation = incarnation_of(&house, "cart-2");
    house.event(down("cart-2", incarnation)).await;
    house
        .until("the death", |status| {
            status.handlers[&handler("cart")].state == "degraded"
        })
        .await;
    assert!(!house.desired.status().settled);
    house.fleet.write(|book| {
        book.broken_load
            .insert(handler("cart"), "cache is gone".to_owned())
    });
    house
        .event(NodeEvent::Up(route("cart-2", incarnation + 10)))
        .await;
    let without = |book: &Book| book.log.contains(&"publish ad@ad cart@cart".to_owned());
    house.fleet.until("routes without it", without).await;
    house.fleet.write(|book| book.broken_load.clear());
    house.settle().await;
    let whole = |book: &Book| {
        book.log
            .contains(&"publish ad@ad cart@cart cart@cart-2".to_owned())
    };
    house.fleet.until("routes with it", whole).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_starts_anew_while_home_or_a_replica_serves_for_it() {
    let house = House::settled(scaled(apart(), "cart", 2)).await;
    for (name, meanwhile) in [
        ("ad", "publish ad@home cart@cart cart@cart-2"),
        ("cart", "publish ad@ad cart@cart-2"),
    ] {
        let before = incarnation_of(&house, name);
        let generation = house.desired.drain(&node(name)).unwrap().generation;
        house
            .until("the end", |status| {
                status.settled && status.actual_generation == generation
            })
            .await;
        let log = house.fleet.log();
        let order = [
            meanwhile.to_owned(),
            format!("drain {name}"),
            format!("gone {name}"),
            format!("start {name}"),
            format!("load {name}"),
            "publish ad@ad cart@cart cart@cart-2".to_owned(),
        ];
        let positions: Vec<usize> = order.iter().map(|line| position(&log, line)).collect();
        assert!(positions.is_sorted(), "{log:?}");
        assert!(incarnation_of(&house, name) > before);
        assert_eq!(
            log.iter().filter(|line| line.starts_with("start")).count(),
            1,
            "{log:?}"
        );
        house.fleet.forget();
    }
    assert_eq!(
        house.desired.drain(&node("crt")).unwrap_err().to_string(),
        "no node is called `crt`; did you mean `cart`?"
    );
    let refused = house.desired.drain(&NodeName::home()).unwrap_err();
    assert!(refused.to_string().contains("Ctrl-C"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn home_serves_on_for_a_node_that_does_not_start_anew() {
    let house = House::settled(apart()).await;
    house.fleet.write(|book| {
        book.broken_start
            .insert("cart".to_owned(), "port in use".to_owned())
    });
    house.desired.drain(&node("cart")).unwrap();
    house.until("the error", |status| status.error.is_some()).await;
    let served = |book: &Book| {
        let last = book.log.iter().rfind(|line| line.starts_with("publish"));
        last.is_some_and(|line| line == "publish ad@ad cart@home")
    };
    house.fleet.until("home's turn", served).await;
    // Handlers that come meanwhile do not take it away from there, and the node is tried again with them.
    house.desired.set_inventory(inventory(&["ad", "cart", "email"]));
    let with_email = |book: &Book| {
        let last = book.log.iter().rfind(|line| line.starts_with("publish"));
        last.is_some_and(|line| line == "publish ad@ad cart@home email@email")
    };
    house.fleet.until("the new routes", with_email).await;
    house.fleet.write(|book| book.broken_start.clear());
    house
        .fleet
        .until("the node's turn", |book| {
            let last = book.log.iter().rfind(|line| line.starts_with("publish"));
            last.is_some_and(|line| line == "publish ad@ad cart@cart email@email")
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_placement_that_comes_while_a_node_is_away_is_followed() {
    let house = House::settled(apart()).await;
    house
        .fleet
        .write(|book| book.held.insert("drain cart".to_owned()));
    house.desired.drain(&node("cart")).unwrap();
    house
        .fleet
        .until("the drain", |book| book.log.contains(&"drain cart".to_owned()))
        .await;
    let generation = house.put(together());
    house
        .until("the newer wish", |status| {
            status.settled && status.actual_generation == generation
        })
        .await;
    assert!(!house.fleet.log().contains(&"start cart".to_owned()));
    house.fleet.write(|book| book.held.clear());
    house.put(apart());
    house.settle().await;
    assert_eq!(house.state("cart"), "serving");
}
