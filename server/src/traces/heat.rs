//! Heat: latency over time, as counts in cells.
//!
//! Promises: columns are as wide as people count time (1, 2, 5, 10, 15 s …) and begin at multiples of that, so that a
//! map that is read again while traces come only grows at its end; rows are steps of a logarithmic scale, and each
//! has a whole number of µs for its bound, so that filters can say exactly what a cell holds. What is read is bounded,
//! and a map that was cut says where.

use std::collections::BTreeMap;

use protocol::TraceId;
use protocol::api::heat::{COLUMNS_DEFAULT, COLUMNS_MAX, Heat, HeatCell, HeatQuery, ROWS_DEFAULT, ROWS_MAX};
use protocol::api::traces::TraceQuery;

use super::{Error, Traces, blocking};

/// Traces that one map counts, the newest; some seconds of a store that takes all it can, hours of a shop.
const TRACES_MAX: usize = 50_000;
/// Widths of columns, in ms; beyond the last, whole multiples of it.
const WIDTHS_MS: [u64; 25] = [
    10,
    20,
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    10_800_000,
    21_600_000,
    43_200_000,
    DAY_MS,
    2 * DAY_MS,
];
const DAY_MS: u64 = 86_400_000;
/// Rows of a decade, the finest first.
const STEPS: [i32; 9] = [24, 12, 10, 8, 6, 5, 3, 2, 1];
/// Traces that all take the same are a line in the middle of so many rows.
const ROWS_LEAST: i32 = 6;

/// A trace, as far as the map shows it.
#[derive(Debug, Clone, Copy)]
struct Point {
    start_ms: u64,
    duration_ns: u64,
    has_failed: bool,
    trace_id: TraceId,
}

impl Traces {
    /// The map of the newest traces that a query finds.
    pub async fn heat(&self, query: &TraceQuery, size: &HeatQuery) -> Result<Heat, Error> {
        let columns = within("columns", size.columns, COLUMNS_DEFAULT, COLUMNS_MAX)?;
        let rows = within("rows", size.rows, ROWS_DEFAULT, ROWS_MAX)?;
        let mut points = Vec::new();
        let cut = self.newest(query, TRACES_MAX, |trace| {
            points.push(Point {
                start_ms: trace.start_unix_ns / 1_000_000,
                duration_ns: trace.duration_ns,
                has_failed: trace.errors > 0,
                trace_id: trace.trace_id,
            });
        });
        let cut_unix_ms = cut.await?.map(|ns| ns / 1_000_000);
        let asked = (query.from, query.to);
        let mut map = blocking(move || heat(&points, asked, columns, rows)).await?;
        map.cut_unix_ms = cut_unix_ms;
        Ok(map)
    }
}

fn within(field: &'static str, asked: Option<u32>, default: u32, most: u32) -> Result<u32, Error> {
    let count = asked.unwrap_or(default);
    if (1..=most).contains(&count) {
        return Ok(count);
    }
    Err(Error::Query {
        field,
        value: count.to_string(),
        expected: match field {
            "columns" => "number from 1 to 240",
            _ => "number from 1 to 60",
        },
    })
}

/// Counts points, the newest first, in at most so many columns and rows.
fn heat(points: &[Point], asked: (Option<u64>, Option<u64>), columns: u32, rows: u32) -> Heat {
    let starts = points.iter().map(|point| point.start_ms);
    let (Some(first), Some(last)) = (starts.clone().min(), starts.max()) else {
        return Heat::default();
    };
    // What was asked for is shown whole, and no longer than there is time.
    let first = asked.0.unwrap_or(first).min(first);
    let last = asked.1.map_or(last, |to| to.saturating_sub(1).max(last));
    let (from_unix_ms, column_ms, columns) = columns_of(first, last, columns);
    let mut lengths: Vec<u64> = points.iter().map(|point| point.duration_ns).collect();
    lengths.sort_unstable();
    let bounds_ns = bounds(lengths[0], lengths[lengths.len() - 1], rows);
    let mut cells: BTreeMap<(u32, u32), HeatCell> = BTreeMap::new();
    for point in points {
        let column = ((point.start_ms - from_unix_ms) / column_ms) as u32;
        let row = bounds_ns.partition_point(|bound| *bound <= point.duration_ns);
        let row = row.clamp(1, bounds_ns.len() - 1) as u32 - 1;
        let cell = cells.entry((column, row)).or_insert(HeatCell {
            column,
            row,
            count: 0,
            failed: 0,
            exemplar: point.trace_id,
        });
        cell.count += 1;
        if point.has_failed {
            // Failures come before successes, and then the first one is the newest.
            if cell.failed == 0 {
                cell.exemplar = point.trace_id;
            }
            cell.failed += 1;
        }
    }
    let ranked = |share: f64| lengths[((lengths.len() as f64 * share).ceil() as usize).max(1) - 1];
    Heat {
        from_unix_ms,
        column_ms,
        columns,
        cells: cells.into_values().collect(),
        traces: points.len() as u64,
        failed: points.iter().filter(|point| point.has_failed).count() as u64,
        p50_ns: ranked(0.5),
        p99_ns: ranked(0.99),
        max_ns: ranked(1.0),
        bounds_ns,
        cut_unix_ms: None,
    }
}

/// Where columns begin, how wide each is, and how many there are.
fn columns_of(first: u64, last: u64, most: u32) -> (u64, u64, u32) {
    let most = u64::from(most);
    let count = |width: u64| last / width - first / width + 1;
    let known = WIDTHS_MS.into_iter().find(|width| count(*width) <= most);
    let width = known.unwrap_or_else(|| {
        // A range of so many days lies in one column more than that, at most.
        let days = (last - first) / DAY_MS / most + 1;
        (days..)
            .map_while(|days| days.checked_mul(DAY_MS))
            .find(|width| count(*width) <= most)
            .unwrap_or(u64::MAX)
    });
    (first / width * width, width, count(width) as u32)
}

/// Bounds of rows from the shortest to the longest, each a whole number of µs.
fn bounds(shortest: u64, longest: u64, most: u32) -> Vec<u64> {
    let us = |ns: u64| (ns as f64 / 1e3).max(1.0);
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    let ends = |steps: i32| {
        let place = |ns: u64| (us(ns).log10() * f64::from(steps) + 1e-9).floor() as i32;
        (place(shortest), place(longest) + 1)
    };
    let fits = |steps: &i32| {
        let (low, high) = ends(*steps);
        high - low <= most
    };
    let steps = STEPS.into_iter().find(fits).unwrap_or(1);
    let (mut low, mut high) = ends(steps);
    let lacks = (ROWS_LEAST.min(most) - (high - low)).max(0);
    low = (low - lacks / 2).max(0);
    high = high.max(low + ROWS_LEAST.min(most));
    // More decades than rows: the topmost row takes what is beyond it.
    high = high.min(low.saturating_add(most));
    // Two digits, so that a filter made of them can be read and said.
    let bound = |step: i32| {
        let us = 10f64.powf(f64::from(step) / f64::from(steps));
        let unit = 10f64.powf((us.log10() + 1e-9).floor() - 1.0).max(1.0);
        ((us / unit).round() * unit) as u64 * 1_000
    };
    let mut bounds: Vec<u64> = (low..=high).map(bound).collect();
    bounds.dedup();
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(start_ms: u64, duration_us: u64, has_failed: bool) -> Point {
        Point {
            start_ms,
            duration_ns: duration_us * 1_000,
            has_failed,
            trace_id: TraceId(u128::from(start_ms) << 32 | u128::from(duration_us)),
        }
    }

    #[test]
    fn every_trace_is_in_one_cell_whose_bounds_hold_it() {
        // Of any spread: some µs and minutes, a second and months.
        for (spread_ms, longest_us) in [(900, 40), (61_000, 2_500), (86_400_000 * 200, 90_000_000)] {
            let mut points: Vec<Point> = (0..500_u64)
                .map(|n| {
                    let start = 1_790_000_000_000 + n * 7_919 % 500 * spread_ms / 500;
                    point(start, 3 + n * 104_729 % longest_us, n % 7 == 0)
                })
                .collect();
            points.sort_by_key(|point| std::cmp::Reverse(point.start_ms));
            let map = heat(&points, (None, None), 96, 24);
            assert!((1..=96).contains(&map.columns), "{}", map.columns);
            assert!((2..=25).contains(&map.bounds_ns.len()), "{:?}", map.bounds_ns);
            assert!(
                map.bounds_ns.is_sorted_by(|a, b| a < b) && map.bounds_ns.iter().all(|ns| ns % 1_000 == 0)
            );
            assert_eq!(map.from_unix_ms % map.column_ms, 0);
            let sum = |of: fn(&HeatCell) -> u32| map.cells.iter().map(of).sum::<u32>();
            assert_eq!((sum(|cell| cell.count), sum(|cell| cell.failed)), (500, 72));
            for cell in &map.cells {
                let from = map.from_unix_ms + u64::from(cell.column) * map.column_ms;
                let row = cell.row as usize;
                let (low, high) = (map.bounds_ns[row], map.bounds_ns[row + 1]);
                let its: Vec<&Point> = points
                    .iter()
                    .filter(|point| (from..from + map.column_ms).contains(&point.start_ms))
                    .filter(|point| (low..high).contains(&point.duration_ns))
                    .collect();
                assert_eq!(its.len(), cell.count as usize, "{cell:?}");
                let newest = its.iter().find(|point| point.has_failed).unwrap_or(&its[0]);
                assert_eq!(cell.exemplar, newest.trace_id, "failures come first");
            }
        }
    }

    #[test]
    fn a_column_is_as_wide_as_people_count_time() {
        let widths = [(0, 95), (0, 9_000), (3, 61_000), (0, 86_400_000 * 400)]
            .map(|(first, last)| columns_of(first, last, 96));
        assert_eq!(widths.map(|(_, width, _)| width), [10, 100, 1_000, 5 * DAY_MS]);
        assert_eq!(widths[2], (0, 1_000, 62));
        // The same traces and one more: nothing moves.
        assert_eq!(columns_of(3, 62_001, 96).1, 1_000);
        assert_eq!(columns_of(7 * DAY_MS, u64::MAX / 1_000_000, 1).2, 1);
    }

    #[test]
    fn what_was_asked_for_is_shown_whole() {
        let points = [point(60_500, 1_300, false)];
        let map = heat(&points, (Some(30_000), Some(90_000)), 60, 24);
        assert_eq!(
            (map.from_unix_ms, map.column_ms, map.columns),
            (30_000, 1_000, 60)
        );
        assert_eq!(map.cells.len(), 1);
        assert!(map.bounds_ns.len() as i32 > ROWS_LEAST, "{:?}", map.bounds_ns);
        assert_eq!(
            (map.p50_ns, map.p99_ns, map.max_ns),
            (1_300_000, 1_300_000, 1_300_000)
        );
        assert_eq!(heat(&[], (None, None), 96, 24), Heat::default());
    }

    #[test]
    fn few_rows_still_hold_everything() {
        let points = [point(2, 90_000_000, true), point(1, 0, false)];
        let map = heat(&points, (None, None), 1, 1);
        assert_eq!((map.columns, map.cells.len()), (1, 1));
        assert_eq!((map.cells[0].count, map.cells[0].failed), (2, 1));
    }
}
