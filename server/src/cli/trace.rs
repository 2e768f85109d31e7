//! `cleave trace`: the newest traces, one trace as a tree, or traces as they end.

mod paged;
mod transfer;
mod tree;

use std::path::{Path, PathBuf};

use clap::Args;
use protocol::api::events::Event;
use protocol::api::traces::{TraceDetail, TraceSummary};
use protocol::{HandlerName, TraceId};

use super::Remote;
use super::error::Error;
use super::output::{Table, duration, list, print, print_json, tell};

/// Arguments of `cleave trace`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  cleave trace                                    the newest 20
  cleave trace --status error --handler checkout  those in which something failed and checkout took part
  cleave trace --edge 'checkout -> shop:email/email' --min-ms 50
  cleave trace --query '{ handler = cart && duration > 5ms }'   as docs/query.md has it
  cleave trace 4bf92f3577b34da6a3ce929d0e0e4736   its spans as a tree, and the nine steps of its slowest call
  cleave trace --follow                           a line for each as it ends
  cleave trace 4bf92f3577b34da6a3ce929d0e0e4736 --export trace.json   as OTLP's JSON
  cleave trace --since 10m --export run.jsonl --limit 20000   those of the last ten minutes, one a line
  cleave trace --import run.jsonl                 into another node, say")]
pub(super) struct TraceArgs {
    /// The trace to show; every answer of the ingress names its own in `x-trace-id`
    #[arg(conflicts_with_all = ["follow", "handler", "edge", "min_ms", "status", "query"])]
    id: Option<TraceId>,

    /// Print traces as they end, until Ctrl-C
    #[arg(long, conflicts_with_all = ["edge", "limit", "query"])]
    follow: bool,

    /// Only those in which this handler took part
    #[arg(long)]
    handler: Option<HandlerName>,

    /// Only those with a call along this edge, as `checkout -> shop:email/email`
    #[arg(long)]
    edge: Option<String>,

    /// Only those at least this long
    #[arg(long, value_name = "MS")]
    min_ms: Option<u64>,

    /// Only those that ended so
    #[arg(long, value_parser = ["ok", "error"])]
    status: Option<String>,

    /// Only those with spans for which this query holds
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,

    /// Only those that began since then: `10m` ago, or `2026-11-22T09:30:00Z`
    #[arg(long, value_name = "WHEN", value_parser = paged::moment, conflicts_with_all = ["id", "follow"])]
    since: Option<u64>,

    /// Only those that began until then
    #[arg(long, value_name = "WHEN", value_parser = paged::moment, conflicts_with_all = ["id", "follow"])]
    until: Option<u64>,

    /// At most this many, the newest
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,

    /// Write what would be shown into a file, as OTLP's JSON, one trace a line
    #[arg(long, value_name = "FILE", conflicts_with = "follow")]
    export: Option<PathBuf>,

    /// Read traces from such a file, or from another program's
    #[arg(long, value_name = "FILE", conflicts_with_all = ["id", "follow", "export", "handler", "edge", "min_ms", "status", "query", "since", "until"])]
    import: Option<PathBuf>,

    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(args: &TraceArgs) -> Result<(), Error> {
    if let Some(file) = &args.import {
        return import(args, file).await;
    }
    if let Some(file) = &args.export {
        return export(args, file).await;
    }
    match args.id {
        Some(id) => show(args, id).await,
        None if args.follow => follow(args).await,
        None => recent(args).await,
    }
}

async fn show(args: &TraceArgs, id: TraceId) -> Result<(), Error> {
    let detail: TraceDetail = args.remote.client().get(&format!("traces/{id}")).await?;
    if args.remote.json {
        print_json(&detail)
    } else {
        print(&tree::render(&detail))
    }
}

async fn export(args: &TraceArgs, file: &Path) -> Result<(), Error> {
    let client = args.remote.client();
    let traces = match args.id {
        Some(id) => vec![id],
        None => {
            let page = paged::list(&client, &args.path(), args.limit).await?;
            // The oldest first, as they will come in again.
            page.items.iter().rev().map(|summary| summary.trace_id).collect()
        }
    };
    let bytes = transfer::export(&client, &traces, file).await?;
    tell(&format!(
        "{} traces, {bytes} bytes, in `{}`",
        traces.len(),
        file.display()
    ));
    Ok(())
}

async fn import(args: &TraceArgs, file: &Path) -> Result<(), Error> {
    let imported = transfer::import(&args.remote.client(), file).await?;
    if args.remote.json {
        return print_json(&imported);
    }
    imported
        .traces
        .iter()
        .try_for_each(|id| print(&format!("{id}\n")))?;
    if imported.refused > 0 {
        let reasons = imported.reasons.join("; ");
        return Err(Error::Failed(format!(
            "{} spans were refused: {reasons}",
            imported.refused
        )));
    }
    tell(&format!(
        "{} spans of {} traces",
        imported.spans,
        imported.traces.len()
    ));
    Ok(())
}

async fn recent(args: &TraceArgs) -> Result<(), Error> {
    let page = paged::list(&args.remote.client(), &args.path(), args.limit).await?;
    if args.remote.json {
        return print_json(&page);
    }
    if page.items.is_empty() && page.searched_to_unix_ns.is_none() {
        return print("no traces: none yet, none that fits, or sampling is off\n");
    }
    print(&table(&page.items).render())?;
    if page.searched_to_unix_ns.is_some() {
        tell(
            "older traces were not searched yet; narrow the query, or page on with `/api/v1/traces?before=`",
        );
    }
    Ok(())
}

async fn follow(args: &TraceArgs) -> Result<(), Error> {
    tell("following; Ctrl-C ends");
    let client = args.remote.client();
    let ended = client.events(|name, data| match name {
        "traces" => {
            let traces: Vec<TraceSummary> = serde_json::from_str(data)
                .map_err(|error| Error::Failed(format!("read an event of traces: {error}")))?;
            let wanted = traces.iter().filter(|trace| args.wants(trace));
            wanted
                .map(|trace| line(trace, args.remote.json))
                .try_for_each(|line| print(&line))
        }
        name if name == Event::Lagged.name() => {
            tell("too many at once: some were left out");
            Ok(())
        }
        _ => Ok(()),
    });
    match ended.await {
        Ok(()) => Err(Error::Failed(
            "the node ended the stream; is it stopping?".to_owned(),
        )),
        Err(error) => Err(error),
    }
}

impl TraceArgs {
    /// The list's path with its filters, and without its limit.
    fn path(&self) -> String {
        let mut path = "traces?".to_owned();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                path.push_str(&format!("{name}={}&", escaped(&value)));
            }
        };
        add("handler", self.handler.as_ref().map(ToString::to_string));
        add("edge", self.edge.clone());
        add("min_ms", self.min_ms.map(|ms| ms.to_string()));
        add("status", self.status.clone());
        add("q", self.query.clone());
        add("from", self.since.map(|ms| ms.to_string()));
        add("to", self.until.map(|ms| ms.to_string()));
        path
    }

    fn wants(&self, trace: &TraceSummary) -> bool {
        self.handler
            .as_ref()
            .is_none_or(|handler| trace.handlers.contains(handler))
            && self
                .min_ms
                .is_none_or(|ms| trace.duration_ns >= ms.saturating_mul(1_000_000))
            && self
                .status
                .as_deref()
                .is_none_or(|status| (status == "error") == (trace.errors > 0))
    }
}

/// Text as it stands in a query.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

fn table(traces: &[TraceSummary]) -> Table {
    let mut table = Table::new(
        &[
            "TRACE",
            "NAME",
            "TOOK",
            "SPANS",
            "FAILED",
            "NODES",
            "PLACEMENT",
            "HANDLERS",
        ],
        &[2, 3, 4, 5],
    );
    for trace in traces {
        table.row([
            trace.trace_id.to_string(),
            trace.name.clone(),
            duration(trace.duration_ns),
            trace.spans.to_string(),
            trace.errors.to_string(),
            trace.nodes.to_string(),
            trace.placement.clone(),
            list(&trace.handlers),
        ]);
    }
    table
}

fn line(trace: &TraceSummary, json: bool) -> String {
    if json {
        let json = serde_json::to_string(trace).expect("a summary is text and numbers");
        return format!("{json}\n");
    }
    let failed = match (&trace.error, trace.errors) {
        (Some(error), _) => format!("  failed: {error}"),
        (None, 0) => String::new(),
        (None, errors) => format!("  {errors} failed"),
    };
    let took = duration(trace.duration_ns);
    let (spans, nodes) = (trace.spans, trace.nodes);
    format!(
        "{}  {took:>8}  {spans:>4} spans  {nodes:>2} nodes  {}{failed}\n",
        trace.trace_id, trace.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_escaped() {
        assert_eq!(
            escaped("checkout -> shop:email/email"),
            "checkout%20-%3E%20shop%3Aemail%2Femail"
        );
        assert_eq!(escaped("é&="), "%C3%A9%26%3D");
    }
}
