//! Layered drawing of a directed graph, left to right, after Sugiyama: rank, order, place.
//!
//! Promises: the same graph gives the same drawing; boxes of a layer never overlap; an edge over several layers gets
//! a waypoint in each layer that it passes, with room of its own. Cycles are drawn too: an edge that closes one is
//! left out of ranking and runs backwards. Not here: what the boxes mean, which is `map.rs`.

/// Room between boxes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gaps {
    /// Between layers.
    pub(super) layer: f64,
    /// Between boxes of one layer.
    pub(super) row: f64,
}

/// Where everything lies; the drawing begins at (0, 0).
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Layered {
    /// The top left corner of each box.
    pub(super) corners: Vec<(f64, f64)>,
    /// The layer of each box.
    pub(super) layers: Vec<usize>,
    /// The points that each edge passes between its ends.
    pub(super) waypoints: Vec<Vec<(f64, f64)>>,
    /// Width and height of the whole.
    pub(super) size: (f64, f64),
}

/// How many times the order within layers is improved; it settles in three or four on graphs that people can read.
const SWEEPS: usize = 8;
/// How many times heights are balanced.
const BALANCES: usize = 12;
/// The room that an edge takes where it passes a layer.
const PASSAGE: f64 = 22.0;

struct Vertex {
    layer: usize,
    width: f64,
    height: f64,
    before: Vec<usize>,
    after: Vec<usize>,
}

/// The layer of each of `count` vertices: one more than its highest caller's.
pub(super) fn rank(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let forward = acyclic(count, edges);
    let mut layers = vec![0usize; count];
    for _ in 0..count {
        for &(from, to) in &forward {
            layers[to] = layers[to].max(layers[from] + 1);
        }
    }
    layers
}

/// Lays out boxes of these sizes.
pub(super) fn layered(sizes: &[(f64, f64)], edges: &[(usize, usize)], gaps: Gaps) -> Layered {
    let layers = rank(sizes.len(), edges);
    let mut vertices: Vec<Vertex> = sizes
        .iter()
        .zip(&layers)
        .map(|(&(width, height), &layer)| Vertex {
            layer,
            width,
            height,
            before: Vec::new(),
            after: Vec::new(),
        })
        .collect();
    let chains: Vec<Vec<usize>> = edges
        .iter()
        .map(|&(from, to)| chain(&mut vertices, from, to))
        .collect();
    let rows = order(&vertices);
    let (lefts, widths) = columns(&vertices, &rows, gaps.layer);
    let centers = heights(&vertices, &rows, gaps.row);
    let point = |index: usize| {
        let layer = vertices[index].layer;
        (lefts[layer] + widths[layer] / 2.0, centers[index])
    };
    let corners: Vec<(f64, f64)> = (0..sizes.len())
        .map(|index| {
            let (x, y) = point(index);
            (x - vertices[index].width / 2.0, y - vertices[index].height / 2.0)
        })
        .collect();
    let width = lefts
        .iter()
        .zip(&widths)
        .map(|(left, width)| left + width)
        .fold(0.0, f64::max);
    let height = vertices
        .iter()
        .zip(&centers)
        .map(|(vertex, center)| center + vertex.height / 2.0)
        .fold(0.0, f64::max);
    Layered {
        corners,
        layers,
        waypoints: chains
            .into_iter()
            .map(|chain| chain.into_iter().map(point).collect())
            .collect(),
        size: (width, height),
    }
}

/// The edges without self-loops and without those that close a cycle in depth-first order.
fn acyclic(count: usize, edges: &[(usize, usize)]) -> Vec<(usize, usize)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Closed,
    }
    let mut after = vec![Vec::new(); count];
    for &(from, to) in edges.iter().filter(|(from, to)| from != to) {
        after[from].push(to);
    }
    let mut entered = vec![false; count];
    for &(_, to) in edges.iter().filter(|(from, to)| from != to) {
        entered[to] = true;
    }
    // Roots first: then a cycle is cut where a reader coming from the outside would cut it.
    let starts = (0..count).filter(|at| !entered[*at]).chain(0..count);
    let mut marks = vec![Mark::New; count];
    let mut forward = Vec::new();
    for start in starts {
        if marks[start] != Mark::New {
            continue;
        }
        let mut path = vec![(start, 0usize)];
        marks[start] = Mark::Open;
        while let Some((at, next)) = path.pop() {
            let Some(&to) = after[at].get(next) else {
                marks[at] = Mark::Closed;
                continue;
            };
            path.push((at, next + 1));
            if marks[to] != Mark::Open {
                forward.push((at, to));
            }
            if marks[to] == Mark::New {
                marks[to] = Mark::Open;
                path.push((to, 0));
            }
        }
    }
    forward
}

/// Joins two vertices, by way of one narrow vertex in each layer between them; gives those.
fn chain(vertices: &mut Vec<Vertex>, from: usize, to: usize) -> Vec<usize> {
    let (first, last) = (vertices[from].layer, vertices[to].layer);
    let mut passed = Vec::new();
    let mut at = from;
    for layer in first + 1..last {
        let index = vertices.len();
        vertices.push(Vertex {
            layer,
            width: 0.0,
            height: PASSAGE,
            before: vec![at],
            after: Vec::new(),
        });
        vertices[at].after.push(index);
        passed.push(index);
        at = index;
    }
    if first < last {
        vertices[at].after.push(to);
        vertices[to].before.push(at);
    }
    passed
}

/// The vertices of each layer from top to bottom, with few crossings.
fn order(vertices: &[Vertex]) -> Vec<Vec<usize>> {
    let count = vertices.iter().map(|vertex| vertex.layer + 1).max().unwrap_or(0);
    let mut rows = vec![Vec::new(); count];
    for (index, vertex) in vertices.iter().enumerate() {
        rows[vertex.layer].push(index);
    }
    let mut best = rows.clone();
    let mut fewest = crossings(vertices, &rows);
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        for step in 1..count {
            let layer = if down { step } else { count - 1 - step };
            let places = places(vertices, &rows);
            let mut keyed: Vec<(f64, usize)> = rows[layer]
                .iter()
                .map(|&index| {
                    let vertex = &vertices[index];
                    let near = if down { &vertex.before } else { &vertex.after };
                    (
                        mean(near.iter().map(|&other| places[other])).unwrap_or(places[index]),
                        index,
                    )
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            rows[layer] = keyed.into_iter().map(|(_, index)| index).collect();
        }
        let now = crossings(vertices, &rows);
        if now < fewest {
            fewest = now;
            best.clone_from(&rows);
        }
    }
    best
}

/// Each vertex's place in its layer, from 0 to 1.
fn places(vertices: &[Vertex], rows: &[Vec<usize>]) -> Vec<f64> {
    let mut places = vec![0.0; vertices.len()];
    for row in rows {
        for (place, &index) in row.iter().enumerate() {
            places[index] = (place as f64 + 0.5) / row.len() as f64;
        }
    }
    places
}

/// Pairs of lines between neighbouring layers that cross: lines sorted by where they begin, the pairs out of order by
/// where they end.
fn crossings(vertices: &[Vertex], rows: &[Vec<usize>]) -> usize {
    let mut place = vec![0usize; vertices.len()];
    for row in rows {
        for (at, &index) in row.iter().enumerate() {
            place[index] = at;
        }
    }
    let mut total = 0;
    for (layer, row) in rows.iter().enumerate() {
        let width = rows.get(layer + 1).map_or(0, Vec::len);
        // How many lines so far end at or before a place: a Fenwick tree.
        let mut tree = vec![0usize; width + 1];
        let mut drawn = 0;
        for &index in row {
            let mut ends: Vec<usize> = vertices[index].after.iter().map(|&to| place[to]).collect();
            ends.sort_unstable();
            for &end in &ends {
                let (mut at, mut not_beyond) = (end + 1, 0);
                while at > 0 {
                    not_beyond += tree[at];
                    at &= at - 1;
                }
                total += drawn - not_beyond;
            }
            // Lines from one box do not cross each other.
            for &end in &ends {
                let mut at = end + 1;
                while at <= width {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
                drawn += 1;
            }
        }
    }
    total
}

/// The left side and the width of each layer.
fn columns(vertices: &[Vertex], rows: &[Vec<usize>], gap: f64) -> (Vec<f64>, Vec<f64>) {
    let widths: Vec<f64> = rows
        .iter()
        .map(|row| row.iter().map(|&index| vertices[index].width).fold(0.0, f64::max))
        .collect();
    let mut lefts = Vec::with_capacity(widths.len());
    let mut x = 0.0;
    for width in &widths {
        lefts.push(x);
        x += width + gap;
    }
    (lefts, widths)
}

/// The vertical centre of each vertex: near its neighbours, in order, without overlap.
fn heights(vertices: &[Vertex], rows: &[Vec<usize>], gap: f64) -> Vec<f64> {
    let mut centers = vec![0.0; vertices.len()];
    for row in rows {
        let wanted = vec![0.0; row.len()];
        settle(vertices, row, gap, &wanted, &mut centers);
    }
    for round in 0..BALANCES {
        for step in 0..rows.len() {
            let layer = if round % 2 == 0 {
                step
            } else {
                rows.len() - 1 - step
            };
            let wanted: Vec<f64> = rows[layer]
                .iter()
                .map(|&index| {
                    let vertex = &vertices[index];
                    let near = vertex.before.iter().chain(&vertex.after);
                    mean(near.map(|&other| centers[other])).unwrap_or(centers[index])
                })
                .collect();
            settle(vertices, &rows[layer], gap, &wanted, &mut centers);
        }
    }
    let top = (0..vertices.len())
        .map(|index| centers[index] - vertices[index].height / 2.0)
        .fold(f64::INFINITY, f64::min);
    for center in &mut centers {
        *center -= top;
    }
    centers
}

/// Moves a layer's vertices as near to the wanted centres as order and room allow (least squares, by pooling).
fn settle(vertices: &[Vertex], row: &[usize], gap: f64, wanted: &[f64], centers: &mut [f64]) {
    let mut offsets = Vec::with_capacity(row.len());
    let mut offset = 0.0;
    for (place, &index) in row.iter().enumerate() {
        if let Some(&above) = place.checked_sub(1).and_then(|above| row.get(above)) {
            offset += (vertices[above].height + vertices[index].height) / 2.0 + gap;
        }
        offsets.push(offset);
    }
    // Blocks of vertices that touch: (sum of wanted places, vertices).
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for (want, offset) in wanted.iter().zip(&offsets) {
        let mut block = (want - offset, 1);
        while let Some(above) = blocks.pop_if(|above| above.0 / above.1 as f64 > block.0 / block.1 as f64) {
            block = (block.0 + above.0, block.1 + above.1);
        }
        blocks.push(block);
    }
    let mut rest = row.iter().zip(&offsets);
    for (sum, count) in blocks {
        for (&index, offset) in rest.by_ref().take(count) {
            centers[index] = sum / count as f64 + offset;
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAPS: Gaps = Gaps {
        layer: 80.0,
        row: 12.0,
    };
    const BOX: (f64, f64) = (160.0, 60.0);

    fn overlaps(drawing: &Layered, sizes: &[(f64, f64)]) -> bool {
        let boxes: Vec<_> = drawing.corners.iter().zip(sizes).collect();
        boxes.iter().enumerate().any(|(at, (a, a_size))| {
            boxes[at + 1..].iter().any(|(b, b_size)| {
                a.0 < b.0 + b_size.0 - 1e-6
                    && b.0 < a.0 + a_size.0 - 1e-6
                    && a.1 < b.1 + b_size.1 - 1e-6
                    && b.1 < a.1 + a_size.1 - 1e-6
            })
        })
    }

    #[test]
    fn callees_are_right_of_their_callers() {
        // frontend, checkout, recommendation, catalog, payment
        let edges = [(0, 1), (0, 2), (0, 3), (2, 3), (1, 4), (1, 3)];
        let drawing = layered(&[BOX; 5], &edges, GAPS);
        assert_eq!(drawing.layers, [0, 1, 1, 2, 2]);
        for (from, to) in edges {
            assert!(drawing.corners[from].0 < drawing.corners[to].0);
        }
        assert_eq!(
            drawing.waypoints[2].len(),
            1,
            "frontend to catalog passes one layer"
        );
        assert!(!overlaps(&drawing, &[BOX; 5]));
    }

    #[test]
    fn a_cycle_is_cut_where_it_closes() {
        let drawing = layered(&[BOX; 3], &[(0, 1), (1, 2), (2, 1), (1, 1)], GAPS);
        assert_eq!(drawing.layers, [0, 1, 2]);
        let ring = layered(&[BOX; 3], &[(0, 1), (1, 2), (2, 0)], GAPS);
        assert_eq!(ring.layers, [0, 1, 2]);
    }

    #[test]
    fn crossings_are_removed_where_they_can_be() {
        // 0 and 1 each call two; written down crossed.
        let edges = [(0, 3), (0, 5), (1, 2), (1, 4)];
        let drawing = layered(&[BOX; 6], &edges, GAPS);
        let y = |index: usize| drawing.corners[index].1;
        let zero_first = y(0) < y(1);
        for callee in [3, 5] {
            for other in [2, 4] {
                assert_eq!(y(callee) < y(other), zero_first);
            }
        }
    }

    #[test]
    fn many_boxes_of_many_sizes_never_overlap() {
        let mut seed = 7u32;
        let mut next = move |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for _ in 0..40 {
            let count = 2 + next(20) as usize;
            let sizes: Vec<(f64, f64)> = (0..count)
                .map(|_| (60.0 + f64::from(next(200)), 30.0 + f64::from(next(200))))
                .collect();
            let edges: Vec<(usize, usize)> = (0..next(60))
                .map(|_| (next(count as u32) as usize, next(count as u32) as usize))
                .collect();
            let drawing = layered(&sizes, &edges, GAPS);
            assert!(!overlaps(&drawing, &sizes), "{sizes:?} {edges:?}");
            assert!(drawing.corners.iter().all(|(x, y)| *x >= -1e-6 && *y >= -1e-6));
            assert_eq!(drawing, layered(&sizes, &edges, GAPS));
        }
        assert_eq!(layered(&[], &[], GAPS), Layered::default());
    }
}
