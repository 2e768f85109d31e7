//! `Connection`: the DevTools protocol over one WebSocket, one command at a time.
//!
//! Promises: a command is answered within the watchdog, or this panics with its name; every complaint of the page
//! that comes by meanwhile (an error in the console, an exception, a violation of the content security policy, a
//! resource that failed) is kept. Not here: what the commands mean (`page.rs`).

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::WATCHDOG;

pub(crate) struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
    complaints: Vec<String>,
}

impl Connection {
    pub(crate) async fn open(url: &str) -> Self {
        let (socket, _) = connect_async(url)
            .await
            .unwrap_or_else(|error| panic!("cannot reach the browser at {url}: {error}"));
        Self {
            socket,
            last_id: 0,
            complaints: Vec::new(),
        }
    }

    /// The command's result, or the browser's reason why there is none.
    pub(crate) async fn command(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.last_id += 1;
        let id = self.last_id;
        let command = json!({ "id": id, "method": method, "params": params }).to_string();
        let sent = self.socket.send(Message::text(command)).await;
        sent.unwrap_or_else(|error| panic!("the browser was lost before {method}: {error}"));
        let answer = async {
            loop {
                let message = self.read(method).await;
                if message["id"] == id {
                    return message;
                }
                self.complaints.extend(complaint(&message));
            }
        };
        let mut answer = match tokio::time::timeout(WATCHDOG, answer).await {
            Ok(answer) => answer,
            Err(_) => panic!("the browser did not answer {method} within {WATCHDOG:?}"),
        };
        match answer["error"]["message"].as_str() {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(answer["result"].take()),
        }
    }

    /// Waits for an event, and gives what it says.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        let event = async {
            loop {
                let mut message = self.read(name).await;
                if message["method"] == name {
                    return message["params"].take();
                }
                self.complaints.extend(complaint(&message));
            }
        };
        match tokio::time::timeout(WATCHDOG, event).await {
            Ok(params) => params,
            Err(_) => panic!("the browser did not tell {name} within {WATCHDOG:?}"),
        }
    }

    /// Adds a complaint.
    pub(crate) fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }

    /// What the page complained about since the last time.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    async fn read(&mut self, method: &str) -> Value {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).expect("the browser speaks JSON"),
            Some(Ok(_)) => Value::Null,
            Some(Err(error)) => panic!("the browser was lost during {method}: {error}"),
            None => panic!("the browser ended during {method}"),
        }
    }
}

/// The sentence of an event that a page in good order does not cause.
fn complaint(event: &Value) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(format!("exception: {}", exception(&params["exceptionDetails"]))),
        "Runtime.consoleAPICalled" => {
            let kind = params["type"].as_str()?;
            let bad = matches!(kind, "error" | "assert");
            bad.then(|| format!("console.{kind}: {}", params["args"]))
        }
        "Log.entryAdded" => {
            let entry = &params["entry"];
            let bad = entry["level"] == "error" || entry["source"] == "security";
            bad.then(|| {
                format!(
                    "{} {}: {} ({})",
                    entry["source"], entry["level"], entry["text"], entry["url"]
                )
            })
        }
        "Audits.issueAdded" => {
            let issue = &params["issue"];
            let bad = issue["code"] == "ContentSecurityPolicyIssue";
            bad.then(|| {
                format!(
                    "content security policy: {}",
                    issue["details"]["contentSecurityPolicyIssueDetails"]
                )
            })
        }
        _ => None,
    }
}

/// An exception's stack, or what there is instead.
pub(crate) fn exception(details: &Value) -> String {
    let description = details["exception"]["description"].as_str();
    description.map_or_else(|| details.to_string(), str::to_owned)
}
