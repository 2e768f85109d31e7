//! Nodes on a network that misbehaves, on virtual time: datagrams are lost, late, doubled and overtake each other, the
//! network is cut, nodes drain, die and come back. What happens is decided by a seed.
//!
//! Held, whatever happens: a call ends once, by its deadline; a reply is the one of its call; nothing runs twice; and
//! once the network behaves again, everybody reaches everybody and nothing is left running. A seed that fails is named
//! with the command that repeats it: `CLEAVE_SEED=N cargo test --release --workspace --lib quic::tests::sim`.

mod network;

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use futures_util::future::{join, join_all};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use super::super::lane::listen::Doors;
use super::super::transport;
use super::*;
use network::{Faults, Network};

/// Seeds of one run; `CLEAVE_SEEDS` asks for more.
const SEEDS: u64 = 1_000;
const NODES: [&str; 3] = ["ann", "ben", "cem"];
const CALLS: u64 = 30;
/// While calls begin and faults happen.
const PLAY_MS: u64 = 4_000;
/// After its deadline a call may take this long to say that it is over.
const GRACE: Duration = Duration::from_millis(50);
/// Enough for handshakes and timers of what was broken before.
const CALM: Duration = Duration::from_secs(5);

#[test]
#[expect(clippy::print_stderr, reason = "the command that repeats a seed")]
fn whatever_the_network_does_every_call_ends_once_and_in_time() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse().expect("a number"))
    };
    let seeds = match number("CLEAVE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CLEAVE_SEEDS").unwrap_or(SEEDS),
    };
    let world = World::new();
    let identities: HashMap<_, _> = NODES.map(|node| (node, world.identity(node))).into();
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let played = AssertUnwindSafe(|| runtime.block_on(play(&identities, seed)));
        if let Err(panic) = std::panic::catch_unwind(played) {
            let command = "cargo test --release --workspace --lib quic::tests::sim";
            eprintln!("seed {seed} fails; to repeat it: CLEAVE_SEED={seed} {command}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// What ran, by the number of its call.
#[derive(Default)]
struct Book(Mutex<HashMap<u64, u32>>);

/// Works as long as the call says and answers with a function of its number.
struct Worker(Arc<Book>);

impl Dispatch for Worker {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(async move {
            let errand = Errand::read(&call.args);
            *self.0.0.lock().unwrap().entry(errand.number).or_default() += 1;
            sleep(Duration::from_millis(errand.work_ms)).await;
            Ok(Reply::new(errand.answer()))
        })
    }
}

/// What a call asks for.
#[derive(Debug, Clone, Copy)]
struct Errand {
    number: u64,
    work_ms: u64,
    bytes: u64,
}

impl Errand {
    fn read(args: &[u8]) -> Self {
        let word = |at: usize| u64::from_le_bytes(args[at..at + 8].try_into().unwrap());
        assert_eq!(args.len() as u64, 24 + word(16), "arguments come whole");
        Self {
            number: word(0),
            work_ms: word(8),
            bytes: word(16),
        }
    }

    fn args(&self) -> Bytes {
        let mut args = [self.number, self.work_ms, self.bytes]
            .map(u64::to_le_bytes)
            .concat();
        args.resize(24 + self.bytes as usize, 7);
        args.into()
    }

    fn answer(&self) -> Bytes {
        let mut answer = (!self.number).to_le_bytes().to_vec();
        answer.resize(8 + self.bytes as usize, self.number as u8);
        answer.into()
    }
}

/// A node's process.
struct Process {
    quic: Arc<Quic>,
    tasks: Tasks,
    incarnation: u64,
    _control: mpsc::Receiver<(NodeName, Control)>,
}

struct Cluster<'a> {
    network: Network,
    identities: &'a HashMap<&'static str, Identity>,
    book: Arc<Book>,
    processes: RefCell<HashMap<&'static str, Process>>,
}

impl Cluster<'_> {
    fn start(&self, node: &'static str, incarnation: u64) {
        let config = Config::new(loopback(), self.identities[node].clone(), incarnation);
        let (sender, control) = mpsc::channel(64);
        let tasks = Tasks::new();
        let worker = Arc::new(Worker(Arc::clone(&self.book)));
        let mut endpoint = transport::endpoint(&config);
        endpoint.rng_seed(Some(self.network.random()));
        let socket = self.network.plug();
        let quic = Quic::bind_on(
            (socket, endpoint, Doors::closed()),
            config,
            worker,
            sender,
            tasks.clone(),
        )
        .unwrap();
        quic.set_exports(vec![exported(node, "work")]).unwrap();
        permit(&quic, &NODES, &[exported(node, "work")]);
        for other in NODES.iter().filter(|other| **other != node) {
            quic.set_callers(&node_name(other), HashSet::from([name(other)]));
        }
        let process = Process {
            quic,
            tasks,
            incarnation,
            _control: control,
        };
        self.processes.borrow_mut().insert(node, process);
    }

    fn quic(&self, node: &str) -> (Arc<Quic>, u64) {
        let processes = self.processes.borrow();
        let process = &processes[node];
        (Arc::clone(&process.quic), process.incarnation)
    }

    /// One call, as the routes of this moment have it. `None` if the caller's process is another one in the end.
    async fn call(&self, (from, to): (&str, &str), errand: Errand, within: Duration) -> Option<Ended> {
        let (own, incarnation) = self.quic(from);
        let (callee, callee_incarnation) = self.quic(to);
        let client = own.client(&node_name(to), callee.local_addr(), callee_incarnation);
        let deadline = tokio::time::Instant::now() + within;
        let call = Call {
            caller: name(from),
            handler: Some(name(to)),
            function: Arc::new(path("work")),
            deadline: deadline.into_std(),
            ..call("work", errand.args())
        };
        let outcome = client.dispatch(call).await;
        let late = tokio::time::Instant::now().saturating_duration_since(deadline);
        (self.quic(from).1 == incarnation).then_some(Ended { outcome, late })
    }

    /// The node's process dies at once, and is back a while later; whoever watches it tells the others in between.
    async fn kill(&self, node: &'static str, rng: &mut StdRng) {
        let (quic, incarnation) = self.quic(node);
        self.network.unplug(quic.local_addr());
        self.processes.borrow()[node].tasks.cancel();
        sleep(Duration::from_millis(rng.random_range(0..300))).await;
        permit(&quic, &NODES, &[exported(node, "work")]);
        for other in NODES.iter().filter(|other| **other != node) {
            self.quic(other).0.peer_down(&node_name(node), incarnation);
        }
        sleep(Duration::from_millis(rng.random_range(0..800))).await;
        self.start(node, incarnation + 1);
    }

    /// The node's process takes no new calls, ends and is replaced.
    async fn replace(&self, node: &'static str) {
        let (quic, incarnation) = self.quic(node);
        let old = self.processes.borrow_mut().remove(node);
        self.start(node, incarnation + 1);
        // Over a network that loses what it likes, what is under way may not end in time.
        let _ = quic.drain(Duration::from_secs(2)).await;
        self.network.unplug(quic.local_addr());
        if let Some(old) = old {
            old.tasks.cancel();
        }
    }
}

/// How a call ended.
struct Ended {
    outcome: Result<Reply, CallError>,
    /// Past its deadline.
    late: Duration,
}

impl Ended {
    #[track_caller]
    fn check(&self, errand: &Errand) {
        assert!(self.late <= GRACE, "{errand:?} ended {:?} late", self.late);
        match &self.outcome {
            Ok(reply) => assert_eq!(reply.value, errand.answer(), "the reply is that of {errand:?}"),
            Err(error) => assert!(
                matches!(
                    error.code,
                    ErrorCode::Deadline
                        | ErrorCode::Unreachable
                        | ErrorCode::NotFound
                        | ErrorCode::Overloaded
                ),
                "{errand:?}: {error}"
            ),
        }
    }
}

async fn play(identities: &HashMap<&'static str, Identity>, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let cluster = Cluster {
        network: Network::new(rng.random()),
        identities,
        book: Arc::default(),
        processes: RefCell::default(),
    };
    NODES.iter().for_each(|node| cluster.start(node, 1));
    cluster.network.misbehave(Faults {
        drop: rng.random_range(0.0..0.2),
        duplicate: rng.random_range(0.0..0.1),
        delay_us_max: rng.random_range(0..40_000),
    });
    let calls: Vec<_> = (0..CALLS).map(|number| plan(number, &mut rng)).collect();
    let made = calls.into_iter().map(|(way, errand, begin, within)| {
        let cluster = &cluster;
        async move {
            sleep(begin).await;
            if let Some(ended) = cluster.call(way, errand, within).await {
                ended.check(&errand);
            }
        }
    });
    join(join_all(made), trouble(&cluster, &mut rng)).await;

    cluster.network.mend();
    cluster.network.misbehave(Faults::default());
    sleep(CALM).await;
    let mut number = CALLS;
    for from in NODES {
        for to in NODES.into_iter().filter(|to| *to != from) {
            let errand = Errand {
                number,
                work_ms: 1,
                bytes: 100,
            };
            number += 1;
            let ended = cluster
                .call((from, to), errand, CALM)
                .await
                .expect("nobody dies any more");
            ended.check(&errand);
            assert!(
                ended.outcome.is_ok(),
                "{from} reaches {to}: {:?}",
                ended.outcome.err()
            );
        }
        assert_eq!(
            cluster.quic(from).0.calls_under_way(),
            0,
            "nothing is left running at {from}"
        );
    }
    for (number, ran) in &*cluster.book.0.lock().unwrap() {
        assert_eq!(*ran, 1, "call {number} ran once");
    }
    for process in cluster.processes.borrow().values() {
        process.tasks.cancel();
    }
}

type Planned = ((&'static str, &'static str), Errand, Duration, Duration);

fn plan(number: u64, rng: &mut StdRng) -> Planned {
    let from = rng.random_range(0..NODES.len());
    let to = (from + rng.random_range(1..NODES.len())) % NODES.len();
    let errand = Errand {
        number,
        work_ms: rng.random_range(0..300),
        bytes: rng.random_range(0..6_000),
    };
    let begin = Duration::from_millis(rng.random_range(0..PLAY_MS));
    let within = Duration::from_millis(rng.random_range(20..2_000));
    ((NODES[from], NODES[to]), errand, begin, within)
}

/// What goes wrong, one after the other.
async fn trouble(cluster: &Cluster<'_>, rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..4) {
        sleep(Duration::from_millis(rng.random_range(0..PLAY_MS / 3))).await;
        let node = NODES[rng.random_range(0..NODES.len())];
        match rng.random_range(0..3) {
            0 => cluster.kill(node, rng).await,
            1 => cluster.replace(node).await,
            _ => {
                let other = NODES[rng.random_range(0..NODES.len())];
                let (a, b) = (
                    cluster.quic(node).0.local_addr(),
                    cluster.quic(other).0.local_addr(),
                );
                cluster.network.cut(a, b);
                sleep(Duration::from_millis(rng.random_range(0..2_500))).await;
                cluster.network.mend();
            }
        }
    }
}
