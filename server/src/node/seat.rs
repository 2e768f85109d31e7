//! `Seat`: home's place among its nodes, with the runtime, the endpoint and the reconciler that it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use protocol::api::placement::Placement;
use protocol::control::{Control, NodeRoute};
use protocol::{FunctionPath, HandlerName, InterfaceName, NodeName, TypeHash, builtin};
use tokio::sync::mpsc;

use super::fleet::{Nodes, Parts};
use super::local::{BuiltIns, Local};
use super::renewal;
use super::rights::Rights;
use super::station::Station;
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::placement::children::{Pace, Program};
use crate::placement::{ChildEvent, Children, Desired, Inventory, Reconciler};
use crate::quic::{self, Authority, Exported, Quic, Twin};
use crate::router::Router;
use crate::runtime::Runtime;
use crate::shutdown::Tasks;
use crate::telemetry::Recorder;

/// Messages of children that wait for home.
const CONTROL_WAITING_MAX: usize = 1_024;

/// What home's place among the nodes is made of.
pub(super) struct Seat<'a> {
    pub(super) data: &'a Path,
    pub(super) config: &'a Config,
    pub(super) recorder: &'a Arc<Recorder>,
    pub(super) router: Arc<Router>,
    pub(super) work: &'a Tasks,
}

/// Home among its nodes.
pub(super) struct Seated {
    pub(super) station: Arc<Station>,
    pub(super) nodes: Arc<Nodes>,
    pub(super) desired: Desired,
    pub(super) inbox: mpsc::Receiver<(NodeName, Control)>,
    pub(super) child_events: mpsc::Receiver<ChildEvent>,
}

impl Seat<'_> {
    /// Starts the runtime, the endpoint and the reconciler.
    pub(super) fn take(self, built_ins: BuiltIns, placement: Placement) -> anyhow::Result<Seated> {
        let Self {
            data,
            config,
            recorder,
            router,
            work,
        } = self;
        let clock = recorder.clock().clone();
        let authority = Authority::open(&data.join("identity"), &clock)?;
        let cache = data.join("code");
        let dispatcher: Dispatcher = Arc::clone(&router) as Dispatcher;
        let runtime = Arc::new(Runtime::new(&cache, dispatcher, Arc::clone(recorder))?);
        runtime.start(work);
        let local = Local::dispatcher(Arc::clone(&runtime), Some(built_ins));
        let identity = authority.issue(&NodeName::home())?;
        let (control, inbox) = mpsc::channel(CONTROL_WAITING_MAX);
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // What processes that were killed left there is nobody's: the data directory is ours.
        let sockets = std::path::absolute(data.join("sockets"))?;
        let _ = std::fs::remove_dir_all(&sockets);
        let endpoint = quic::Config {
            sockets: Some(sockets.clone()),
            ..quic::Config::new(any_port, identity, 1)
        };
        let quic = Quic::bind(endpoint, Arc::clone(&local), control, work.child())?;
        let home_route = NodeRoute {
            name: NodeName::home(),
            address: quic.local_addr(),
            incarnation: 1,
        };
        let station = Arc::new(Station {
            node: NodeName::home(),
            runtime,
            router,
            quic,
            twin: Twin::dispatcher(Arc::clone(&local)),
            local,
            tasks: work.child(),
            built_in_exports: Mutex::new(built_in_exports()),
            routes: Mutex::default(),
            rights: Rights::default(),
            loaded: Mutex::default(),
        });
        let (children, child_events) =
            Children::new(Program::node()?, Pace::default(), work.child(), clock.clone());
        let (nodes, node_events) = Nodes::new(Parts {
            station: Arc::clone(&station),
            authority,
            children,
            cache,
            sockets,
            sampling: config.traces.sampling.to_string(),
            arguments: config.traces.arguments,
            clock: clock.clone(),
        });
        let renewals = renewal::keep_renewed(Arc::clone(&nodes), clock);
        work.spawn(
            "renewal of papers",
            work.token().run_until_cancelled_owned(renewals),
        );
        let (desired, intake) = Desired::channel(config.placement.clone(), placement, Inventory::default());
        let reconciler = Reconciler::new(Arc::clone(&nodes), home_route, intake, node_events);
        work.spawn("reconciler", reconciler.run(work.token()));
        Ok(Seated {
            station,
            nodes,
            desired,
            inbox,
            child_events,
        })
    }
}

/// The built-in functions that home serves to its children. Their types are the platform's own: no hash to compare.
pub(super) fn built_in_exports() -> Vec<Exported> {
    let state = builtin::state::Function::ALL.map(|function| (builtin::state::INTERFACE, function.as_str()));
    let queue = builtin::queue::Function::ALL.map(|function| (builtin::queue::INTERFACE, function.as_str()));
    let export = |handler: HandlerName, (interface, function): (&str, &str)| {
        let interface = InterfaceName::parse(interface).expect("the constant is an interface name");
        Exported {
            handler,
            function: FunctionPath::new(interface, function),
            type_hash: TypeHash([0; 16]),
        }
    };
    let state = state
        .into_iter()
        .map(|function| export(HandlerName::state(), function));
    let queue = queue
        .into_iter()
        .map(|function| export(HandlerName::queue(), function));
    state.chain(queue).collect()
}
