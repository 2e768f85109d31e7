//! `Stores`: the three databases of home, opened together and closed in order.
//!
//! Promises: when one of them cannot be opened, those that already are have been closed before the error is returned, so
//! that a refused start leaves no write-ahead log behind. Closing writes what was accepted first.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use protocol::NodeName;

use crate::clock::Clock;
use crate::config::Config;
use crate::otlp::export::{Exporter, Figures};
use crate::queue::Queues;
use crate::shutdown::Tasks;
use crate::state::StateStore;
use crate::telemetry::Recorder;
use crate::traces::{Tap, Traces};

/// What the writers may take to write what was accepted.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Traces, queue and state, and the recorder whose spans end in the traces.
pub(super) struct Stores {
    pub(super) recorder: Arc<Recorder>,
    pub(super) traces: Traces,
    pub(super) queues: Queues,
    pub(super) state: StateStore,
    writers: Tasks,
}

impl Stores {
    /// Opens the files in `data`, or none.
    pub(super) async fn open(data: &Path, config: &Config, clock: &Clock) -> anyhow::Result<Self> {
        let writers = Tasks::new();
        let opened = Self::open_with(data, config, clock, &writers).await;
        if opened.is_err() {
            let _ = writers.drain(CLOSE_MAX).await;
        }
        opened
    }

    async fn open_with(data: &Path, config: &Config, clock: &Clock, writers: &Tasks) -> anyhow::Result<Self> {
        let (recorder, spans) = Recorder::channel(NodeName::home(), clock.clone());
        let queues = Queues::open(
            &data.join("queue.db"),
            config.queue.keep_done,
            clock.clone(),
            writers,
        )
        .await?;
        let state = StateStore::open(
            &data.join("state.db"),
            config.state.synchronous,
            clock.clone(),
            writers,
        )
        .await?;
        let traces = Traces::open(
            &data.join("traces.db"),
            config.traces.retention,
            Arc::clone(&recorder),
            spans,
            writers,
        )
        .await?;
        Ok(Self {
            recorder,
            traces,
            queues,
            state,
            writers: writers.clone(),
        })
    }

    /// Sends what is stored on to a collector, until the stores are closed.
    pub(super) fn export(&self, to: &Uri) -> Option<(Arc<Figures>, Arc<Tap>)> {
        let (tap, spans) = self.traces.tap()?;
        let exporter = Exporter::new(to.clone());
        let figures = exporter.figures();
        let counted = Arc::clone(&tap);
        let run = exporter.run(spans, move |count| counted.taken(count), self.writers.token());
        self.writers.spawn("export", run);
        Some((figures, tap))
    }

    /// Writes what was accepted and closes the files.
    pub(super) async fn close(&self) {
        let _ = self.traces.flush().await;
        self.queues.close().await;
        self.state.close().await;
        if let Err(names) = self.writers.drain(CLOSE_MAX).await {
            tracing::warn!("still writing after {CLOSE_MAX:?}: {}", names.join(", "));
        }
    }
}
