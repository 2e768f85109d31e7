//! `cleave queue`: queues, their messages, and another try for dead ones.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use protocol::QueueName;
use protocol::api::Page;
use protocol::api::queues::{Message, Queue, RetryRequest, RetryResult};

use super::Remote;
use super::error::Error;
use super::ls;
use super::output::{Table, print, print_json, size, word};

/// What bringing back a full queue may take.
const RETRY_WITHIN: Duration = Duration::from_secs(60);

/// Arguments of `cleave queue`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  cleave queue ls
  cleave queue show checkout.email --state dead     what was given up, with its last error
  cleave queue retry checkout.email                 all its dead messages again
  cleave queue retry checkout.email 17 18           these only")]
pub(super) struct QueueArgs {
    #[command(subcommand)]
    command: QueueCommand,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// List queues
    Ls {
        #[command(flatten)]
        remote: Remote,
    },
    /// List a queue's messages, newest first
    Show(ShowArgs),
    /// Give dead messages all their tries again
    Retry(RetryArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The queue: CALLER.CALLEE
    queue: QueueName,

    /// Only messages that stand there
    #[arg(long, value_enum)]
    state: Option<State>,

    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,

    /// Only messages older than this one
    #[arg(long, value_name = "ID")]
    before: Option<i64>,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct RetryArgs {
    /// The queue: CALLER.CALLEE
    queue: QueueName,

    /// The messages; all dead ones, if none is named
    ids: Vec<i64>,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Ready,
    Leased,
    Done,
    Dead,
}

pub(super) async fn run(args: &QueueArgs) -> Result<(), Error> {
    match &args.command {
        QueueCommand::Ls { remote } => {
            let page: Page<Queue> = remote.client().get("queues").await?;
            if remote.json {
                print_json(&page.items)
            } else {
                print(&ls::queues(&page.items))
            }
        }
        QueueCommand::Show(args) => show(args).await,
        QueueCommand::Retry(args) => retry(args).await,
    }
}

async fn show(args: &ShowArgs) -> Result<(), Error> {
    let mut path = format!("queues/{}/messages?limit={}", args.queue, args.limit);
    if let Some(state) = args.state.and_then(|state| state.to_possible_value()) {
        path.push_str(&format!("&state={}", state.get_name()));
    }
    if let Some(before) = args.before {
        path.push_str(&format!("&before={before}"));
    }
    let page: Page<Message> = args.remote.client().get(&path).await?;
    if args.remote.json {
        return print_json(&page);
    }
    print(&messages(&page))
}

fn messages(page: &Page<Message>) -> String {
    if page.items.is_empty() {
        return "no messages\n".to_owned();
    }
    let mut table = Table::new(
        &[
            "ID",
            "STATE",
            "ATTEMPTS",
            "SIZE",
            "FUNCTION",
            "ARGUMENTS OR LAST ERROR",
        ],
        &[0, 2, 3],
    );
    for message in &page.items {
        let arguments = message
            .arguments
            .as_ref()
            .map(|arguments| shortened(&arguments.to_string()));
        let error = message
            .last_error
            .as_ref()
            .map(|error| format!("{}: {}", error.code, error.message));
        table.row([
            message.id.to_string(),
            word(&message.state),
            format!("{}/{}", message.attempt, message.tries),
            size(message.body_bytes),
            message.function.clone(),
            error.or(arguments).unwrap_or_default(),
        ]);
    }
    let mut text = table.render();
    if let Some(next) = &page.next {
        text.push_str(&format!("\nolder ones: --before {next}\n"));
    }
    text
}

/// JSON that fits beside a table.
fn shortened(json: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    if json.chars().count() <= CHARACTERS_MAX {
        return json.to_owned();
    }
    let start: String = json.chars().take(CHARACTERS_MAX).collect();
    format!("{start}…")
}

async fn retry(args: &RetryArgs) -> Result<(), Error> {
    let request = RetryRequest {
        ids: args.ids.clone(),
    };
    let path = format!("queues/{}/retry", args.queue);
    let result: RetryResult = args
        .remote
        .client()
        .send(Method::POST, &path, &request, RETRY_WITHIN)
        .await?;
    if args.remote.json {
        return print_json(&result);
    }
    print(&format!(
        "{} messages of {} are ready again\n",
        result.retried, args.queue
    ))
}
