//! `Hub`: the newest snapshot of each kind, made once for all readers; and the second by second look at nodes and
//! placement that the history is made of.

use std::sync::Arc;
use std::time::Duration;

use protocol::api::events::Event;
use tokio::sync::{Semaphore, watch};
use tokio::time::MissedTickBehavior;

use crate::http::{Context, api};
use crate::shutdown::Tasks;

/// Event streams at the same time: tabs and terminals of one person.
pub(super) const STREAMS_MAX: usize = 64;
/// The shortest time between two snapshots of one kind.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two looks at what is shown at once: its figures change all the time under load.
const AT_ONCE_EVERY: Duration = Duration::from_millis(250);

/// What there are snapshots of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Status,
    Handlers,
    Nodes,
    Placement,
    Queues,
    Edges,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::Status,
        Self::Handlers,
        Self::Nodes,
        Self::Placement,
        Self::Queues,
        Self::Edges,
    ];
}

/// One kind's newest snapshot.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// The event's name.
    pub(super) name: &'static str,
    /// Its data, as JSON; empty before the first.
    pub(super) data: Arc<str>,
    /// Grows with each change.
    pub(super) version: u64,
}

/// The newest snapshots, in the order of [`Kind::ALL`].
pub(super) type Board = [Snapshot; Kind::ALL.len()];

/// Makes snapshots while somebody reads.
pub(in crate::http) struct Hub {
    context: Arc<Context>,
    board: watch::Sender<Board>,
    pub(super) streams: Arc<Semaphore>,
}

impl Hub {
    /// Starts the task that makes snapshots.
    pub(in crate::http) fn start(context: Arc<Context>, tasks: &Tasks) -> Arc<Self> {
        let board = Kind::ALL.map(|_| Snapshot {
            name: "",
            data: "".into(),
            version: 0,
        });
        let hub = Arc::new(Self {
            context,
            board: watch::Sender::new(board),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        });
        let (task, token) = (Arc::clone(&hub), tasks.token());
        tasks.spawn("events", async move {
            tokio::select! {
                biased;
                () = token.cancelled() => {}
                () = task.run() => {}
            }
        });
        hub
    }

    /// A reader of the board, which is made up to date first.
    pub(super) async fn subscribe(&self) -> watch::Receiver<Board> {
        let reader = self.board.subscribe();
        self.refresh(&Kind::ALL).await;
        reader
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    async fn run(&self) {
        let mut second = tokio::time::interval(SNAPSHOT_EVERY);
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut home = self.context.home.changes();
        let mut placement = self.context.desired.changes();
        let (mut is_home_open, mut is_placement_open) = (true, true);
        loop {
            let kinds: &[Kind] = tokio::select! {
                _ = second.tick() => {
                    // Also while nobody reads: who comes later may look back.
                    let context = &self.context;
                    context.edges.note(&context.home.nodes(), &context.desired.status());
                    &Kind::ALL
                }
                changed = home.changed(), if is_home_open => {
                    is_home_open = changed.is_ok();
                    &[Kind::Handlers, Kind::Placement]
                }
                changed = placement.changed(), if is_placement_open => {
                    is_placement_open = changed.is_ok();
                    &[Kind::Placement, Kind::Handlers]
                }
            };
            if self.board.receiver_count() == 0 {
                continue;
            }
            self.refresh(kinds).await;
            if kinds.len() < Kind::ALL.len() {
                tokio::time::sleep(AT_ONCE_EVERY).await;
            }
        }
    }

    async fn refresh(&self, kinds: &[Kind]) {
        for kind in kinds {
            let Some(event) = self.look(*kind).await else {
                continue;
            };
            let (name, data) = (event.name(), data(&event));
            self.board.send_if_modified(|board| {
                let snapshot = &mut board[*kind as usize];
                let is_new = snapshot.version == 0 || *snapshot.data != *data;
                if is_new {
                    *snapshot = Snapshot {
                        name,
                        data: data.into(),
                        version: snapshot.version + 1,
                    };
                }
                is_new
            });
        }
    }

    async fn look(&self, kind: Kind) -> Option<Event> {
        let context = &self.context;
        let event = match kind {
            Kind::Status => Event::Status(context.home.status()),
            Kind::Handlers => Event::Handlers(context.home.handlers()),
            Kind::Nodes => Event::Nodes(context.home.nodes()),
            Kind::Placement => Event::Placement(Box::new(context.desired.status())),
            Kind::Queues => Event::Queues(context.queues.list().await.ok()?),
            Kind::Edges => Event::Edges(api::edges(context).await.ok()?),
        };
        Some(event)
    }
}

/// An event's content as JSON; `null` where it has none, because a browser skips an event without data.
pub(super) fn data(event: &Event) -> String {
    let json = match event {
        Event::Handlers(content) => serde_json::to_string(content),
        Event::Nodes(content) => serde_json::to_string(content),
        Event::Edges(content) => serde_json::to_string(content),
        Event::Queues(content) => serde_json::to_string(content),
        Event::Placement(content) => serde_json::to_string(content),
        Event::Traces(content) => serde_json::to_string(content),
        Event::Status(content) => serde_json::to_string(content),
        Event::Lagged => Ok("null".to_owned()),
    };
    json.expect("the API's types are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_place_on_the_board() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }

    #[test]
    fn data_is_the_content_of_the_variant() {
        let event = Event::Queues(Vec::new());
        assert_eq!(data(&event), "[]");
        let whole = serde_json::to_value(&event).unwrap();
        assert_eq!(whole["data"].to_string(), data(&event));
        assert_eq!(whole["event"], event.name());
        assert_eq!(data(&Event::Lagged), "null");
    }
}
