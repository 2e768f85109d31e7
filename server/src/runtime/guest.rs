//! `Guest`: everything one instance may touch: its store's data.
//!
//! One handler per store, one call at a time unless it is shared. What belongs to the call in progress (deadline, trace, log lines, the time
//! spent in outgoing calls) is set before it and taken after it; nothing of a call is seen by the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::span::{LOG_BYTES_MAX, LOGS_MAX, Log};
use protocol::{HandlerName, SpanId, TraceContext, TraceId};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::deployed::Tenant;
use super::host::{Outgoing, Stdio};
use super::life::End;
use super::limits::MemoryLimiter;
use super::shared::calls::Calls;
use super::slices::Turn;
use crate::clock::Clock;
use crate::dispatch::Dispatcher;

/// Handles to host resources (streams, buckets, pollables) that an instance holds at once; beyond it opening one traps.
const HANDLES_MAX: usize = 10_000;

/// The data of a store.
pub(super) struct Guest {
    pub(super) handler: HandlerName,
    pub(super) router: Dispatcher,
    pub(super) limiter: MemoryLimiter,
    pub(super) call: CallInProgress,
    pub(super) table: ResourceTable,
    /// Its turn among guests that run for long.
    pub(super) turn: Arc<Turn>,
    clock: Clock,
    stdio: Stdio,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outgoing_http: Outgoing,
    /// The calls under way, where the store is shared; `call` is one of them then.
    pub(super) calls: Calls,
}

/// What belongs to the call in progress.
pub(super) struct CallInProgress {
    pub(super) deadline: Instant,
    pub(super) trace: TraceContext,
    pub(super) hop: u8,
    /// Time spent in outgoing calls.
    pub(super) outgoing: Duration,
    pub(super) logs: Vec<Log>,
    pub(super) logs_dropped: u64,
    /// The last line that told of an error: what a trap is explained with.
    pub(super) last_error: Option<String>,
    /// How it ends its instance's life, where that is neither a trap nor the deadline.
    pub(super) end: Option<End>,
}

impl CallInProgress {
    /// Of an instance that no call waits for.
    pub(super) fn nobody(deadline: Instant) -> Self {
        let trace = TraceContext {
            trace_id: TraceId(0),
            span_id: SpanId(0),
            sampled: false,
        };
        Self::new(deadline, trace, 0)
    }

    pub(super) fn new(deadline: Instant, trace: TraceContext, hop: u8) -> Self {
        Self {
            deadline,
            trace,
            hop,
            outgoing: Duration::ZERO,
            logs: Vec::new(),
            logs_dropped: 0,
            last_error: None,
            end: None,
        }
    }
}

impl Guest {
    pub(super) fn new(tenant: Tenant<'_>, router: Dispatcher, clock: Clock, call: CallInProgress) -> Self {
        let stdio = Stdio::default();
        let mut wasi = WasiCtx::builder();
        wasi.stdout(stdio.stdout()).stderr(stdio.stderr());
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        Self {
            handler: tenant.handler.clone(),
            router,
            limiter: MemoryLimiter::new(&tenant.terms.limits, Arc::clone(tenant.lives)),
            outgoing_http: Outgoing::new(tenant, call.deadline),
            call,
            table,
            turn: Arc::default(),
            clock,
            stdio,
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            calls: Calls::default(),
        }
    }

    /// Begins a call: nothing of the one before explains what happens in it.
    pub(super) fn begin(&mut self, call: CallInProgress) {
        self.limiter.take_refused();
        self.outgoing_http.begin(call.deadline);
        self.call = call;
    }

    /// Adds a log line to the call in progress.
    pub(super) fn log(&mut self, level: &str, message: &str) {
        let message = cut(message);
        tracing::debug!(target: "guest", handler = %self.handler, level, "{message}");
        if matches!(level, "error" | "critical" | "stderr") {
            self.call.last_error = Some(message.to_owned());
        }
        if !self.call.trace.sampled {
            return;
        }
        if self.call.logs.len() >= LOGS_MAX {
            self.call.logs_dropped += 1;
            return;
        }
        let log = Log {
            unix_ns: self.clock.unix_ns(),
            level: Arc::from(level),
            message: message.to_owned(),
        };
        self.call.logs.push(log);
    }

    /// Turns what the guest wrote to stdout and stderr, and what it was denied, into log lines.
    pub(super) fn collect_stdio(&mut self) {
        for line in self.outgoing_http.take_lines() {
            self.log("warn", &line);
        }
        for (level, line) in self.stdio.take_lines() {
            self.log(level, &line);
        }
    }
}

fn cut(message: &str) -> &str {
    let mut end = message.len().min(LOG_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.outgoing_http,
        }
    }
}
