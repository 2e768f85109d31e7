//! The lines of the map: curves between boxes, and labels on them where there is room.
//!
//! Promises: a curve leaves its caller and enters its callee level (upright in the narrow picture); a label lies on
//! its curve and overlaps no box and no other label, or it is left out.

use std::collections::HashMap;

use protocol::api::map::Rect;

use super::Scene;

const SAMPLES: usize = 24;
const LABEL_HEIGHT: f64 = 18.0;
const LABEL_PADDING: f64 = 14.0;
/// The width of a character of the label's face.
const LABEL_CHAR: f64 = 6.4;
/// Where on a curve a label is tried, in this order.
const TRIES: [f64; 15] = [
    0.5, 0.44, 0.56, 0.38, 0.62, 0.32, 0.68, 0.26, 0.74, 0.2, 0.8, 0.15, 0.85, 0.1, 0.9,
];

/// A line to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// The `d` of an SVG path.
    pub(super) path: String,
    /// The middle of its label.
    pub(super) label: Option<(f64, f64)>,
}

/// An edge between two boxes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// The caller's box.
    pub(super) from: Rect,
    /// The callee's box.
    pub(super) to: Rect,
    /// The characters of its label.
    pub(super) label_chars: usize,
}

/// Draws the edges of a scene; `ends` in the order of the scene's waypoints. Labels of later edges give way.
pub(super) fn lines(scene: &Scene, ends: &[Ends], is_labelled: bool) -> Vec<Line> {
    let mut taken: Vec<Rect> = scene.handlers.clone();
    let ports = ports(scene, ends);
    ends.iter()
        .zip(ports)
        .enumerate()
        .map(|(index, (ends, (start, end)))| {
            let mut points = vec![start];
            points.extend_from_slice(waypoints(scene, index));
            points.push(end);
            let label = (is_labelled && !scene.narrow)
                .then(|| label(scene, &points, ends.label_chars, &taken))
                .flatten();
            taken.extend(label.map(|at| label_rect(at, ends.label_chars)));
            Line {
                path: path(scene.narrow, &points),
                label,
            }
        })
        .collect()
}

fn waypoints(scene: &Scene, index: usize) -> &[(f64, f64)] {
    scene.waypoints.get(index).map_or(&[], Vec::as_slice)
}

/// Where each edge leaves and enters its boxes: spread over the side, in the order of where the edges go.
fn ports(scene: &Scene, ends: &[Ends]) -> Vec<((f64, f64), (f64, f64))> {
    let across = |point: (f64, f64)| if scene.narrow { point.0 } else { point.1 };
    let middle = |rect: Rect| (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0);
    let next = |index: usize| {
        waypoints(scene, index)
            .first()
            .copied()
            .unwrap_or_else(|| middle(ends[index].to))
    };
    let last = |index: usize| {
        waypoints(scene, index)
            .last()
            .copied()
            .unwrap_or_else(|| middle(ends[index].from))
    };
    let leaves = spread(ends.len(), |index| ends[index].from, |index| across(next(index)));
    let enters = spread(ends.len(), |index| ends[index].to, |index| across(last(index)));
    ends.iter()
        .zip(leaves.into_iter().zip(enters))
        .map(|(Ends { from, to, .. }, (leave, enter))| {
            if scene.narrow {
                (
                    (from.x + from.w * leave, from.y + from.h),
                    (to.x + to.w * enter, to.y),
                )
            } else {
                (
                    (from.x + from.w, from.y + from.h * leave),
                    (to.x, to.y + to.h * enter),
                )
            }
        })
        .collect()
}

/// For each edge, its place on its box's side, from 0 to 1.
fn spread(count: usize, rect: impl Fn(usize) -> Rect, towards: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut sides: HashMap<[u64; 2], Vec<usize>> = HashMap::new();
    for index in 0..count {
        let rect = rect(index);
        // No two boxes begin at one point.
        sides
            .entry([rect.x.to_bits(), rect.y.to_bits()])
            .or_default()
            .push(index);
    }
    let mut places = vec![0.5; count];
    for side in sides.values_mut() {
        side.sort_by(|a, b| towards(*a).total_cmp(&towards(*b)).then(a.cmp(b)));
        for (before, index) in side.iter().enumerate() {
            places[*index] = (before + 1) as f64 / (side.len() + 1) as f64;
        }
    }
    places
}

/// The two control points between two points: level for the wide picture, upright for the narrow one.
fn controls(narrow: bool, a: (f64, f64), b: (f64, f64)) -> ((f64, f64), (f64, f64)) {
    if narrow {
        let pull = ((b.1 - a.1) / 2.0).max(24.0);
        ((a.0, a.1 + pull), (b.0, b.1 - pull))
    } else {
        let pull = ((b.0 - a.0) / 2.0).max(36.0);
        ((a.0 + pull, a.1), (b.0 - pull, b.1))
    }
}

fn path(narrow: bool, points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for pair in points.windows(2) {
        let &[a, b] = pair else { continue };
        if path.is_empty() {
            path = format!("M{:.1} {:.1}", a.0, a.1);
        }
        let (c, d) = controls(narrow, a, b);
        path.push_str(&format!(
            " C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}",
            c.0, c.1, d.0, d.1, b.0, b.1
        ));
    }
    path
}

fn label(scene: &Scene, points: &[(f64, f64)], chars: usize, taken: &[Rect]) -> Option<(f64, f64)> {
    let curve: Vec<(f64, f64)> = points
        .windows(2)
        .flat_map(|pair| (0..=SAMPLES).map(move |step| bezier(pair, step as f64 / SAMPLES as f64)))
        .collect();
    TRIES
        .iter()
        .filter_map(|part| curve.get((part * (curve.len() - 1) as f64).round() as usize))
        .find(|at| {
            let rect = label_rect(**at, chars);
            let fits = rect.x >= 0.0 && rect.x + rect.w <= scene.width && rect.y >= 0.0;
            fits && rect.y + rect.h <= scene.height && !taken.iter().any(|other| touch(&rect, other))
        })
        .copied()
}

fn bezier(pair: &[(f64, f64)], t: f64) -> (f64, f64) {
    let &[a, b] = pair else { return (0.0, 0.0) };
    let (c, d) = controls(false, a, b);
    let u = 1.0 - t;
    let mix = |a: f64, c: f64, d: f64, b: f64| {
        u * u * u * a + 3.0 * u * u * t * c + 3.0 * u * t * t * d + t * t * t * b
    };
    (mix(a.0, c.0, d.0, b.0), mix(a.1, c.1, d.1, b.1))
}

fn label_rect(at: (f64, f64), chars: usize) -> Rect {
    let w = chars as f64 * LABEL_CHAR + LABEL_PADDING;
    Rect {
        x: at.0 - w / 2.0,
        y: at.1 - LABEL_HEIGHT / 2.0,
        w,
        h: LABEL_HEIGHT,
    }
}

fn touch(a: &Rect, b: &Rect) -> bool {
    const MARGIN: f64 = 2.0;
    a.x < b.x + b.w + MARGIN
        && b.x < a.x + a.w + MARGIN
        && a.y < b.y + b.h + MARGIN
        && b.y < a.y + a.h + MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fan(count: usize) -> (Scene, Vec<Ends>) {
        let from = Rect {
            x: 0.0,
            y: 100.0,
            w: 150.0,
            h: 46.0,
        };
        let mut scene = Scene {
            width: 600.0,
            height: 60.0 * count as f64 + 100.0,
            ..Scene::default()
        };
        let mut ends = Vec::new();
        for index in 0..count {
            let to = Rect {
                x: 400.0,
                y: 60.0 * index as f64,
                w: 150.0,
                h: 46.0,
            };
            scene.handlers.push(to);
            ends.push(Ends {
                from,
                to,
                label_chars: 14,
            });
        }
        scene.handlers.push(from);
        scene.waypoints = vec![Vec::new(); count];
        (scene, ends)
    }

    #[test]
    fn labels_overlap_neither_boxes_nor_one_another() {
        let (scene, ends) = fan(6);
        let drawn = lines(&scene, &ends, true);
        let mut rects: Vec<Rect> = drawn
            .iter()
            .filter_map(|line| line.label)
            .map(|at| label_rect(at, 14))
            .collect();
        assert!(rects.len() >= 5, "{drawn:?}");
        rects.extend(&scene.handlers);
        let labels = drawn.iter().filter(|line| line.label.is_some()).count();
        for at in 0..labels {
            assert!(
                rects
                    .iter()
                    .enumerate()
                    .all(|(other, rect)| other == at || !touch(&rects[at], rect))
            );
        }
    }

    #[test]
    fn a_label_without_room_is_left_out() {
        let (mut scene, mut ends) = fan(1);
        ends[0].label_chars = 100;
        assert_eq!(lines(&scene, &ends, true)[0].label, None);
        ends[0].label_chars = 8;
        scene.narrow = true;
        assert_eq!(lines(&scene, &ends, true)[0].label, None);
    }

    #[test]
    fn a_curve_passes_its_waypoints_and_ends_at_the_box() {
        let (mut scene, ends) = fan(1);
        scene.waypoints[0] = vec![(275.0, 300.0)];
        let path = &lines(&scene, &ends, true)[0].path;
        assert!(
            path.starts_with("M150.0 123.0 C") && path.contains(" 275.0 300.0 C"),
            "{path}"
        );
        assert!(path.ends_with(" 400.0 23.0"), "{path}");
    }
}
