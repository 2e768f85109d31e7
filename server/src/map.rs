//! The map: handlers inside the boxes of their nodes, and the lines between them, as coordinates. Pure.
//!
//! Promises: one layout for together, apart and groups; the same input gives the same picture; it is as wide as its
//! frame where boxes fit; in a narrow frame boxes stand in two columns, callers above callees, and lines carry no labels.
//! [`Pictures`] keeps the last few, because several pages ask for the same. Not here: figures and colours, which are the
//! page's.

mod layered;
mod lines;
mod pictures;

use std::collections::BTreeMap;

use protocol::api::map::{HandlerBox, MapLine, NodeBox, Picture, Rect};
use protocol::{HandlerName, NodeName};

use layered::{Gaps, layered, rank};
use lines::Ends;
pub use pictures::Pictures;

/// Below this width the picture is a column.
const NARROW: f64 = 640.0;

const HANDLER: (f64, f64) = (168.0, 46.0);
const PADDING: f64 = 10.0;
const HEAD: f64 = 26.0;
const ROW_GAP: f64 = 14.0;
const LAYER_GAP: (f64, f64) = (76.0, 280.0);
const INNER_GAP: f64 = 64.0;

/// A handler to be drawn, with the node that it is on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The handler.
    pub handler: HandlerName,
    /// Its node.
    pub node: NodeName,
}

/// What is to be drawn: handlers, and who calls whom, as pairs of their indices, each once and sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Drawn {
    /// The handlers, by name.
    pub places: Vec<Place>,
    /// Caller and callee.
    pub edges: Vec<(usize, usize)>,
    /// The frame's width.
    pub width: u32,
}

/// Where everything is.
#[derive(Debug, Clone, Default, PartialEq)]
struct Scene {
    width: f64,
    height: f64,
    narrow: bool,
    nodes: BTreeMap<NodeName, Rect>,
    /// By place of the input.
    handlers: Vec<Rect>,
    /// By edge of the input, the points that it passes between its ends.
    waypoints: Vec<Vec<(f64, f64)>>,
}

/// Characters of a label on a line between nodes, `quic 4.1/s · 35 ms`, and on one within a node.
const LABEL_CHARS: (usize, usize) = (18, 13);
/// With more lines than this none has a label: nobody could read them, and placing them would take the longest.
const LABELLED_MAX: usize = 200;

/// Draws it.
pub fn picture(drawn: &Drawn) -> Picture {
    let scene = scene(&drawn.places, &drawn.edges, f64::from(drawn.width));
    let is_labelled = drawn.edges.len() <= LABELLED_MAX;
    let ends: Vec<Ends> = drawn
        .edges
        .iter()
        .map(|&(from, to)| Ends {
            from: scene.handlers[from],
            to: scene.handlers[to],
            label_chars: match drawn.places[from].node == drawn.places[to].node {
                true => LABEL_CHARS.1,
                false => LABEL_CHARS.0,
            },
        })
        .collect();
    let lines = lines::lines(&scene, &ends, is_labelled);
    Picture {
        width: tenth(scene.width),
        height: tenth(scene.height),
        narrow: scene.narrow,
        handlers: drawn
            .places
            .iter()
            .zip(&scene.handlers)
            .map(|(place, rect)| HandlerBox {
                name: place.handler.clone(),
                node: place.node.clone(),
                rect: short(*rect),
            })
            .collect(),
        lines: drawn
            .edges
            .iter()
            .zip(lines)
            .map(|(&(from, to), line)| MapLine {
                caller: drawn.places[from].handler.clone(),
                callee: drawn.places[to].handler.clone(),
                path: line.path,
                label: line.label.map(|(x, y)| (tenth(x), tenth(y))),
            })
            .collect(),
        nodes: scene
            .nodes
            .into_iter()
            .map(|(name, rect)| NodeBox {
                name,
                rect: short(rect),
            })
            .collect(),
    }
}

/// A tenth of a pixel is as fine as a picture gets.
fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn short(rect: Rect) -> Rect {
    Rect {
        x: tenth(rect.x),
        y: tenth(rect.y),
        w: tenth(rect.w),
        h: tenth(rect.h),
    }
}

/// A node with its handlers and the edges among them, by number within the node.
struct Group {
    node: NodeName,
    members: Vec<usize>,
    edges: Vec<(usize, usize)>,
}

/// Lays out `places` and the edges between them, given as pairs of indices, in a frame of this width.
#[expect(
    clippy::too_many_lines,
    reason = "one drawing, top to bottom; its parts are functions already"
)]
fn scene(places: &[Place], edges: &[(usize, usize)], width: f64) -> Scene {
    let groups = groups(places, edges);
    if width < NARROW {
        return column(places, edges, &groups, width);
    }
    let alone = groups.len() == 1;
    let inner: Vec<_> = groups
        .iter()
        .map(|group| {
            let sizes = vec![HANDLER; group.members.len()];
            let layers = rank(sizes.len(), &group.edges)
                .into_iter()
                .max()
                .map_or(0, |max| max + 1);
            let gap = if alone {
                fitting_gap(width - 2.0 * PADDING, layers as f64 * HANDLER.0, layers)
            } else {
                INNER_GAP
            };
            layered(
                &sizes,
                &group.edges,
                Gaps {
                    layer: gap,
                    row: ROW_GAP,
                },
            )
        })
        .collect();
    let sizes: Vec<(f64, f64)> = inner
        .iter()
        .map(|inner| (inner.size.0 + 2.0 * PADDING, inner.size.1 + HEAD + PADDING))
        .collect();
    let mut homes = vec![0; places.len()];
    for (at, group) in groups.iter().enumerate() {
        for member in &group.members {
            homes[*member] = at;
        }
    }
    let home = |handler: usize| homes[handler];
    let outer_edges: Vec<(usize, usize)> = edges.iter().map(|&(from, to)| (home(from), home(to))).collect();
    let outer = layered(
        &sizes,
        &outer_edges,
        Gaps {
            layer: outer_gap(&sizes, &outer_edges, width),
            row: ROW_GAP,
        },
    );
    // What is narrower than its frame stands in its middle.
    let shift = ((width - outer.size.0) / 2.0).max(0.0);
    let mut scene = Scene {
        width: width.max(outer.size.0),
        height: outer.size.1,
        handlers: vec![Rect::default(); places.len()],
        waypoints: vec![Vec::new(); edges.len()],
        ..Scene::default()
    };
    for (at, group) in groups.iter().enumerate() {
        let (x, y) = (outer.corners[at].0 + shift, outer.corners[at].1);
        let (w, h) = sizes[at];
        scene.nodes.insert(group.node.clone(), Rect { x, y, w, h });
        for (member, corner) in group.members.iter().zip(&inner[at].corners) {
            let rect = Rect {
                x: x + PADDING + corner.0,
                y: y + HEAD + corner.1,
                w: HANDLER.0,
                h: HANDLER.1,
            };
            scene.handlers[*member] = rect;
        }
        let inside = edges
            .iter()
            .enumerate()
            .filter(|(_, edge)| home(edge.0) == at && home(edge.1) == at);
        for ((index, _), points) in inside.zip(&inner[at].waypoints) {
            scene.waypoints[index] = points
                .iter()
                .map(|p| (x + PADDING + p.0, y + HEAD + p.1))
                .collect();
        }
    }
    for (index, points) in outer.waypoints.iter().enumerate() {
        if outer_edges[index].0 != outer_edges[index].1 {
            scene.waypoints[index] = points.iter().map(|p| (p.0 + shift, p.1)).collect();
        }
    }
    scene
}

fn groups(places: &[Place], edges: &[(usize, usize)]) -> Vec<Group> {
    let mut members: BTreeMap<&NodeName, Vec<usize>> = BTreeMap::new();
    for (index, place) in places.iter().enumerate() {
        members.entry(&place.node).or_default().push(index);
    }
    members
        .into_iter()
        .map(|(node, members)| {
            // Members ascend.
            let within = |handler: usize| members.binary_search(&handler).ok();
            let edges = edges
                .iter()
                .filter_map(|&(from, to)| Some((within(from)?, within(to)?)))
                .collect();
            Group {
                node: node.clone(),
                edges,
                members,
            }
        })
        .collect()
}

/// The gap with which `layers` boxes, `boxes` wide in sum, fill the width.
fn fitting_gap(width: f64, boxes: f64, layers: usize) -> f64 {
    let gaps = layers.saturating_sub(1).max(1) as f64;
    ((width - boxes) / gaps).clamp(LAYER_GAP.0, LAYER_GAP.1)
}

fn outer_gap(sizes: &[(f64, f64)], edges: &[(usize, usize)], width: f64) -> f64 {
    let layers = rank(sizes.len(), edges);
    let mut widths: BTreeMap<usize, f64> = BTreeMap::new();
    for (size, layer) in sizes.iter().zip(layers) {
        let widest = widths.entry(layer).or_default();
        *widest = widest.max(size.0);
    }
    fitting_gap(width, widths.values().sum(), widths.len())
}

/// Two columns of boxes, in the order of layers; a node with several handlers takes both.
fn column(places: &[Place], edges: &[(usize, usize)], groups: &[Group], width: f64) -> Scene {
    let layers = rank(places.len(), edges);
    let layer_of = |group: &Group| {
        group
            .members
            .iter()
            .map(|member| layers[*member])
            .min()
            .unwrap_or(0)
    };
    let mut sorted: Vec<&Group> = groups.iter().collect();
    // Who neither calls nor is called stands below the picture of who does.
    let linked = |group: &Group| {
        let member = |handler: &usize| group.members.contains(handler);
        edges.iter().any(|(from, to)| member(from) || member(to))
    };
    sorted.sort_by_key(|group| (!linked(group), layer_of(group)));
    let mut scene = Scene {
        width,
        narrow: true,
        handlers: vec![Rect::default(); places.len()],
        waypoints: vec![Vec::new(); edges.len()],
        ..Scene::default()
    };
    let gap = ROW_GAP;
    let half = (width - gap) / 2.0;
    let (mut x, mut y, mut row_height) = (0.0, 0.0, 0.0_f64);
    let mut last_layer = None;
    for group in sorted {
        let several = group.members.len() > 1;
        let layer = layer_of(group);
        if x > 0.0 && (several || last_layer != Some(layer)) {
            (x, y, row_height) = (0.0, y + row_height + gap, 0.0);
        }
        if last_layer.is_some_and(|last| last != layer) {
            y += gap;
        }
        last_layer = Some(layer);
        let w = if several { width } else { half };
        let mut members = group.members.clone();
        members.sort_by_key(|member| layers[*member]);
        let per_row = if several { 2 } else { 1 };
        let inner = (w - 2.0 * PADDING - if several { gap } else { 0.0 }) / per_row as f64;
        let (mut slot, mut inner_y, mut above) = (0, HEAD, None);
        for member in members {
            if above.is_some_and(|above| above != layers[member]) || slot == per_row {
                inner_y += HANDLER.1 + gap;
                slot = 0;
            }
            above = Some(layers[member]);
            let rect = Rect {
                x: x + PADDING + slot as f64 * (inner + gap),
                y: y + inner_y,
                w: inner,
                h: HANDLER.1,
            };
            slot += 1;
            scene.handlers[member] = rect;
        }
        let h = inner_y + HANDLER.1 + PADDING;
        scene.nodes.insert(group.node.clone(), Rect { x, y, w, h });
        row_height = row_height.max(h);
        scene.height = scene.height.max(y + h);
        x += w + gap;
        if x + half > width + 1.0 {
            (x, y, row_height) = (0.0, y + row_height + gap, 0.0);
        }
    }
    scene
}

#[cfg(test)]
mod tests;
