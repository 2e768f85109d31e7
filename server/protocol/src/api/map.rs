//! `map`: the picture of who runs where and who calls whom, laid out.

use serde::{Deserialize, Serialize};

use crate::name::{HandlerName, NodeName};

/// What `map` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapQuery {
    /// The width of the frame, 200 to 8,000.
    pub width: u32,
    /// The picture as of then, within the last hour; as of now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_unix_ms: Option<u64>,
}

/// A rectangle, in pixels from the top left corner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    /// Left.
    pub x: f64,
    /// Top.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

/// The picture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// The whole; where it does not fit the frame it is wider.
    pub width: f64,
    /// The whole.
    pub height: f64,
    /// Callers above callees in two columns, instead of left of them.
    pub narrow: bool,
    /// The boxes of nodes, by name.
    pub nodes: Vec<NodeBox>,
    /// The boxes of handlers, by name.
    pub handlers: Vec<HandlerBox>,
    /// The lines, by caller and callee.
    pub lines: Vec<MapLine>,
}

/// A node's box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeBox {
    /// The node; `nowhere` holds the handlers that no node serves.
    pub name: NodeName,
    /// Where.
    pub rect: Rect,
}

/// A handler's box, in its node's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HandlerBox {
    /// The handler.
    pub name: HandlerName,
    /// Its node.
    pub node: NodeName,
    /// Where.
    pub rect: Rect,
}

/// The line of all calls from one handler to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapLine {
    /// Who calls.
    pub caller: HandlerName,
    /// Who serves.
    pub callee: HandlerName,
    /// The `d` of an SVG path.
    pub path: String,
    /// The middle of its label, where there is room for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<(f64, f64)>,
}
