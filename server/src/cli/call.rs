//! `cleave call`: a function by hand.

use std::io::Read;
use std::time::Duration;

use clap::Args;
use http::Method;
use protocol::api::calls::{CallReply, CallRequest};
use protocol::{HandlerName, InterfaceName};
use serde_json::Value;

use super::Remote;
use super::error::Error;
use super::output::{duration, print_json, tell};

/// The longest `timeout` that a handler can have in `cleave.toml`.
const HANDLER_TIMEOUT_MAX: Duration = Duration::from_secs(60 * 60);

/// Arguments of `cleave call`.
#[derive(Debug, Args)]
#[command(after_help = "\
JSON is an array by position, an object by parameter name, or the value itself of a single parameter. A record is an
object, a variant \"case\" or {\"case\": value}, an option null or the value, list<u8> {\"base64\": \"…\"}.

EXAMPLES:
  cleave call shop:catalog/catalog list-products
  cleave call shop:catalog/catalog get-product '[\"lamp\"]'
  cleave call shop:cart/cart add-item '{\"user\": \"ann\", \"item\": {\"product-id\": \"lamp\", \"quantity\": 2}}'
  cleave call audit@shop:email/email send-confirmation - < order.json      a handler that is not the first to serve it")]
pub(super) struct CallArgs {
    /// `package:name/interface`, with or without its version, or HANDLER@INTERFACE
    #[arg(value_parser = interface)]
    interface: String,

    /// The function, as in its WIT
    #[arg(value_parser = function)]
    function: String,

    /// The arguments; `-` reads them from standard input
    #[arg(value_name = "JSON")]
    arguments: Option<String>,

    /// How long it may take; the handler's own `timeout` where left out
    #[arg(long, value_name = "D", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,

    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(args: &CallArgs) -> Result<(), Error> {
    let request = CallRequest {
        args: arguments(args.arguments.as_deref())?,
        timeout_ms: args
            .timeout
            .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
    };
    // The node ends the call; this only says when a node that is gone is given up.
    let within = args.timeout.unwrap_or(HANDLER_TIMEOUT_MAX);
    let path = format!("call/{}/{}", args.interface, args.function);
    let reply: CallReply = args
        .remote
        .client()
        .send(Method::POST, &path, &request, within)
        .await?;
    if args.remote.json {
        return print_json(&reply);
    }
    print_json(&reply.result)?;
    tell(&format!(
        "{} · cleave trace {}",
        duration(reply.duration_ns),
        reply.trace_id
    ));
    Ok(())
}

fn arguments(json: Option<&str>) -> Result<Value, Error> {
    let text = match json {
        None => return Ok(Value::Null),
        Some("-") => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| Error::Usage(format!("read the arguments from standard input: {error}")))?;
            text
        }
        Some(text) => text.to_owned(),
    };
    serde_json::from_str(&text).map_err(|error| {
        Error::Usage(format!(
            "the arguments are no JSON: {error}; quote them for the shell, as '[\"text\", 1]'"
        ))
    })
}

fn interface(text: &str) -> Result<String, String> {
    let slash = text.find('/').unwrap_or(text.len());
    let interface = match text[..slash].split_once('@') {
        Some((handler, _)) => {
            HandlerName::parse(handler).map_err(|error| error.to_string())?;
            &text[handler.len() + 1..]
        }
        None => text,
    };
    InterfaceName::parse(interface).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

fn function(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("a function's name is letters, digits and `-`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_may_name_their_handler() {
        for good in [
            "shop:email/email",
            "shop:email/email@0.1.0",
            "audit@shop:email/email",
            "a@b:c/d@1.0.0",
        ] {
            assert_eq!(interface(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "email",
            "shop:email",
            "Audit@shop:email/email",
            "@shop:email/email",
            "a/b/c",
        ] {
            assert!(interface(bad).is_err(), "{bad}");
        }
        assert!(function("list-products").is_ok());
        assert!(function("a/b").is_err() && function("").is_err());
    }

    #[test]
    fn arguments_that_are_no_json_are_a_matter_of_usage() {
        assert_eq!(arguments(None).unwrap(), Value::Null);
        assert_eq!(arguments(Some("[1]")).unwrap(), serde_json::json!([1]));
        assert_eq!(arguments(Some("lamp")).unwrap_err().exit_code(), 2);
    }
}
