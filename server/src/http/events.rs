//! `events`: the server-sent event stream.
//!
//! One `Hub` makes the snapshots for all readers: each kind at most once a second, handlers and placement at once, only
//! when something changed, and only while somebody reads. Snapshots are whole, so a slow reader skips to the newest; of
//! traces, which are not and come up to ten times a second, it is told that it `lagged`. Streams end at once when the node stops.

mod hub;
mod stream;

pub(super) use hub::Hub;
pub(super) use stream::stream;
