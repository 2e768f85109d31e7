//! Tests of the layout.

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
            for (at, place) in placement.iter().enumerate() {
                let (inner, outer) = (scene.handlers[at], scene.nodes[&place.node]);
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

#[test]
fn five_hundred_handlers_are_drawn_whole() {
    let places: Vec<Place> = (0..500)
        .map(|at| Place {
            handler: HandlerName::parse(&format!("h{at:03}")).unwrap(),
            node: NodeName::parse(&format!("n{:02}", at % 64)).unwrap(),
        })
        .collect();
    let mut edges: Vec<(usize, usize)> = (0..2_000usize)
        .map(|at| (at * 7 % 499, at * 13 % 487 + 10))
        .filter(|(from, to)| from < to)
        .collect();
    edges.sort_unstable();
    edges.dedup();
    assert!(edges.len() > 500, "{}", edges.len());
    let drawn = Drawn {
        places,
        edges,
        width: 1_280,
    };
    let picture = picture(&drawn);
    assert_eq!((picture.handlers.len(), picture.nodes.len()), (500, 64));
    assert_eq!(picture.lines.len(), drawn.edges.len());
    assert!(
        picture
            .lines
            .iter()
            .all(|line| line.path.starts_with('M') && line.label.is_none())
    );
}
