//! A reader of the event stream.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::client::{Client, Req, block_on};

/// An open event stream.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    text: String,
}

impl Events {
    /// Opens `events`.
    pub(crate) fn open(client: &Client) -> Self {
        let answer = block_on(client.open(Req::get("/api/v1/events"))).and_then(|answer| answer);
        let answer = answer.expect("the event stream opens");
        assert_eq!(answer.status().as_u16(), 200);
        let content_type = answer.headers()["content-type"].to_str().unwrap_or_default();
        assert!(content_type.starts_with("text/event-stream"), "{content_type}");
        Self {
            body: answer.into_body(),
            text: String::new(),
        }
    }

    /// The next event: its name and its data; `None` when the stream ended.
    pub(crate) fn next(&mut self) -> Option<(String, serde_json::Value)> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                match event {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let frame = block_on(self.body.frame()).expect("an event comes, or a comment")?;
            let data = frame.ok()?.into_data().ok()?;
            self.text.push_str(&String::from_utf8_lossy(&data));
        }
    }
}

/// An event's block; comments, which keep the connection alive, are none.
fn parse(block: &str) -> Option<(String, serde_json::Value)> {
    let field = |name: &str| {
        let lines = block
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        lines.map(str::trim_start).collect::<Vec<_>>().join("\n")
    };
    let (name, data) = (field("event"), field("data"));
    if name.is_empty() && data.is_empty() {
        return None;
    }
    let data = match data.as_str() {
        "" => serde_json::Value::Null,
        data => serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data}")),
    };
    Some((name, data))
}
