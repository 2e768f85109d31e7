//! The map: handlers inside the boxes of their nodes, and the edges between them, as coordinates.
//!
//! Promises: one layout for together, apart and groups; the picture is as wide as its frame where boxes fit; on a
//! narrow screen boxes stand in two columns, callers above callees, and edges carry no labels. Not here: figures and
//! colours, which are the page's.

pub mod edges;
pub mod layered;

use std::collections::BTreeMap;

use protocol::{HandlerName, NodeName};

use self::layered::{Gaps, layered, rank};

/// Below this width the picture is a column.
pub const NARROW: f64 = 640.0;

const HANDLER: (f64, f64) = (168.0, 46.0);
const PADDING: f64 = 10.0;
const HEAD: f64 = 26.0;
const ROW_GAP: f64 = 14.0;
const LAYER_GAP: (f64, f64) = (76.0, 280.0);
const INNER_GAP: f64 = 64.0;

/// A handler to be drawn, with the node that it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The handler.
    pub handler: HandlerName,
    /// Its node.
    pub node: NodeName,
}

/// A rectangle.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
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

/// Where everything is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scene {
    /// The whole picture.
    pub width: f64,
    /// The whole picture.
    pub height: f64,
    /// Callers above callees in two columns, instead of left of them.
    pub narrow: bool,
    /// The boxes of nodes.
    pub nodes: BTreeMap<NodeName, Rect>,
    /// The boxes of handlers.
    pub handlers: BTreeMap<HandlerName, Rect>,
    /// By edge of the input, the points that it passes between its ends.
    pub waypoints: Vec<Vec<(f64, f64)>>,
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
pub fn scene(places: &[Place], edges: &[(usize, usize)], width: f64) -> Scene {
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
    let home = |handler: usize| {
        groups
            .iter()
            .position(|group| group.members.contains(&handler))
            .unwrap_or(0)
    };
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
            scene.handlers.insert(places[*member].handler.clone(), rect);
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
            let within = |handler: usize| members.iter().position(|member| *member == handler);
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
            scene.handlers.insert(places[member].handler.clone(), rect);
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
mod tests {
    use super::*;

    const SHOP: [&str; 10] = [
        "frontend",
        "ad",
        "recommendation",
        "checkout",
        "cart",
        "currency",
        "catalog",
        "payment",
        "shipping",
        "email",
    ];
    const EDGES: [(usize, usize); 13] = [
        (0, 1),
        (0, 2),
        (0, 3),
        (0, 4),
        (0, 5),
        (0, 6),
        (0, 8),
        (2, 6),
        (3, 4),
        (3, 6),
        (3, 7),
        (3, 8),
        (3, 9),
    ];

    fn places(node: impl Fn(&str) -> String) -> Vec<Place> {
        SHOP.iter()
            .map(|name| Place {
                handler: HandlerName::parse(name).unwrap(),
                node: NodeName::parse(&node(name)).unwrap(),
            })
            .collect()
    }

    fn inside(inner: &Rect, outer: &Rect) -> bool {
        inner.x >= outer.x
            && inner.y >= outer.y
            && inner.x + inner.w <= outer.x + outer.w + 1e-6
            && inner.y + inner.h <= outer.y + outer.h + 1e-6
    }

    fn apart_boxes(scene: &Scene) -> bool {
        let boxes: Vec<&Rect> = scene.nodes.values().collect();
        boxes.iter().enumerate().all(|(at, a)| {
            boxes[at + 1..].iter().all(|b| {
                a.x + a.w <= b.x + 1e-6
                    || b.x + b.w <= a.x + 1e-6
                    || a.y + a.h <= b.y + 1e-6
                    || b.y + b.h <= a.y + 1e-6
            })
        })
    }

    #[test]
    fn every_handler_lies_in_the_box_of_its_node() {
        let placements: [Vec<Place>; 3] = [
            places(|_| "home".to_owned()),
            places(str::to_owned),
            places(|name| {
                if name.starts_with('c') {
                    "group-1".to_owned()
                } else {
                    "home".to_owned()
                }
            }),
        ];
        for placement in &placements {
            for width in [360.0, 700.0, 1_000.0, 2_000.0] {
                let scene = scene(placement, &EDGES, width);
                assert!(apart_boxes(&scene), "{width}");
                for place in placement {
                    let (inner, outer) = (scene.handlers[&place.handler], scene.nodes[&place.node]);
                    assert!(inside(&inner, &outer), "{width} {place:?} {inner:?} {outer:?}");
                }
                let whole = Rect {
                    x: 0.0,
                    y: 0.0,
                    w: scene.width,
                    h: scene.height,
                };
                assert!(scene.nodes.values().all(|node| inside(node, &whole)), "{width}");
            }
        }
    }

    #[test]
    fn together_is_one_box_and_apart_is_ten_that_fit_the_frame() {
        let together = scene(&places(|_| "home".to_owned()), &EDGES, 1_000.0);
        assert_eq!(together.nodes.len(), 1);
        let apart = scene(&places(str::to_owned), &EDGES, 1_000.0);
        assert_eq!(apart.nodes.len(), 10);
        assert!(apart.width <= 1_000.0 && together.width <= 1_000.0);
    }

    #[test]
    fn a_narrow_picture_is_no_wider_than_its_frame() {
        for placement in [places(|_| "home".to_owned()), places(str::to_owned)] {
            let scene = scene(&placement, &EDGES, 358.0);
            assert!(scene.narrow);
            assert!(scene.nodes.values().all(|node| node.x + node.w <= 358.0 + 1e-6));
        }
    }

    #[test]
    fn nothing_to_draw_is_an_empty_picture() {
        assert!(scene(&[], &[], 1_000.0).nodes.is_empty());
        assert!(scene(&[], &[], 300.0).nodes.is_empty());
    }
}
