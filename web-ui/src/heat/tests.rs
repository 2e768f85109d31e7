//! Tests of the heat map's maths.

use super::*;
use protocol::TraceId;

const PLOT: Plot = Plot {
    left: 50.0,
    top: 10.0,
    width: 600.0,
    height: 120.0,
    columns: 60,
    rows: 12,
};

fn cell(column: u32, row: u32, count: u32, failed: u32) -> HeatCell {
    HeatCell {
        column,
        row,
        count,
        failed,
        exemplar: TraceId(1),
    }
}

/// A minute in seconds, from 1 ms to 1 s in twelve rows, four a decade.
fn heat() -> Heat {
    let bounds = (0..=12).map(|step| (1_000.0 * 10f64.powf(f64::from(step) / 4.0)).round() as u64 * 1_000);
    Heat {
        from_unix_ms: 1_790_000_000_000,
        column_ms: 1_000,
        columns: 60,
        bounds_ns: bounds.collect(),
        cells: vec![cell(3, 0, 4, 0), cell(3, 5, 1, 1), cell(30, 11, 2, 0)],
        traces: 7,
        failed: 1,
        p50_ns: 1_100_000,
        p99_ns: 900_000_000,
        max_ns: 900_000_000,
        cut_unix_ms: None,
    }
}

const HERE: Here = Here {
    now_ms: 1_790_000_100_000,
    offset_min: 0,
};

#[test]
fn every_cell_is_found_where_it_is_drawn() {
    for column in 0..60 {
        for row in 0..12 {
            let [x, y, width, height] = PLOT.cell(column, row);
            assert_eq!(PLOT.nearest((x + width / 2.0, y + height / 2.0)), (column, row));
        }
    }
    assert_eq!(PLOT.nearest((-99.0, 999.0)), (0, 0));
    assert_eq!(PLOT.nearest((9_999.0, -9.0)), (59, 11));
    assert!(PLOT.has((50.0, 10.0)) && !PLOT.has((49.0, 10.0)));
}

#[test]
fn a_drag_selects_whole_cells_along_the_axes_that_it_follows() {
    let both = PLOT.selection((101.0, 61.0), (149.0, 29.0));
    assert_eq!(
        both,
        Selection {
            columns: (5, 9),
            rows: (6, 10)
        }
    );
    assert_eq!(
        PLOT.selection((149.0, 29.0), (101.0, 61.0)),
        both,
        "from any corner"
    );
    assert_eq!(
        PLOT.selection((101.0, 61.0), (149.0, 63.0)).rows,
        (0, 11),
        "time alone"
    );
    assert_eq!(
        PLOT.selection((101.0, 29.0), (103.0, 61.0)).columns,
        (0, 59),
        "durations alone"
    );
}

#[test]
fn filters_find_what_the_cells_count() {
    let (heat, all) = (heat(), TraceQuery::default());
    let inner = narrowed(
        &all,
        &heat,
        Selection {
            columns: (3, 5),
            rows: (4, 5),
        },
    );
    assert_eq!(
        (inner.from, inner.to),
        (Some(1_790_000_003_000), Some(1_790_000_006_000))
    );
    assert_eq!(
        (inner.min_ms, inner.max_us, inner.min_us),
        (Some(10), Some(31_623), None)
    );
    assert_eq!(
        counted(
            &heat,
            Selection {
                columns: (3, 5),
                rows: (4, 5)
            }
        ),
        (1, 1)
    );
    let edges = narrowed(
        &all,
        &heat,
        Selection {
            columns: (0, 59),
            rows: (0, 11),
        },
    );
    assert_eq!(edges, all, "all of it is no filter");
    let slow = narrowed(
        &all,
        &heat,
        Selection {
            columns: (20, 59),
            rows: (8, 11),
        },
    );
    assert_eq!(
        (slow.from, slow.to, slow.min_ms, slow.max_ms),
        (Some(1_790_000_020_000), None, Some(100), None)
    );
    // What narrowed before is replaced, or kept at the edge.
    let again = narrowed(
        &TraceQuery {
            min_us: Some(1_500),
            max_ms: Some(900),
            ..all
        },
        &heat,
        Selection {
            columns: (0, 59),
            rows: (4, 11),
        },
    );
    assert_eq!(
        (again.min_ms, again.min_us, again.max_ms),
        (Some(10), None, Some(900))
    );
}

#[test]
fn a_cell_stays_itself_while_the_map_moves_on() {
    let before = heat();
    let moved = Heat {
        from_unix_ms: before.from_unix_ms + 2_000,
        ..heat()
    };
    assert_eq!(carried(&before, &moved, (3, 5)), Some((1, 5)));
    assert_eq!(carried(&before, &moved, (1, 5)), None);
    let coarser = Heat {
        column_ms: 2_000,
        ..heat()
    };
    assert_eq!(carried(&before, &coarser, (3, 5)), None);
    assert_eq!(carried(&Heat::default(), &Heat::default(), (0, 0)), None);
}

#[test]
fn shades_grow_with_counts_and_one_trace_is_seen() {
    assert_eq!(
        (shade(1, 1), shade(1, 10_000), shade(10_000, 10_000)),
        (SHADES, 1, SHADES)
    );
    let shades: Vec<u32> = [1, 4, 20, 100, 500, 2_000]
        .map(|count| shade(count, 2_000))
        .into();
    assert!(
        shades.is_sorted() && shades[0] == 1 && shades[5] == SHADES,
        "{shades:?}"
    );
}

#[test]
fn marks_are_round_and_in_their_places() {
    let heat = heat();
    let marks: Vec<u64> = marks(&heat, 120.0).into_iter().map(|(ns, _)| ns).collect();
    assert_eq!(marks, [1_000_000, 10_000_000, 100_000_000, 1_000_000_000]);
    assert!((place(&heat, 10_000_000) - 4.0).abs() < 1e-9 && place(&heat, 0) == 0.0);
    assert_eq!(place(&heat, u64::MAX), 12.0);
    let times = times(&heat, 6, 330);
    assert_eq!(times.len(), 4, "{times:?}");
    assert!(
        times
            .iter()
            .all(|(ms, at)| ms % 15_000 == 0 && (0.0..60.0).contains(at)),
        "{times:?}"
    );
    assert_eq!(times.len(), self::times(&heat, 6, 0).len());
    assert_eq!(time_mark(1_790_000_010_000, &heat, HERE), "14:13:30");
    assert!(self::times(&Heat::default(), 6, 0).is_empty() && self::marks(&Heat::default(), 9.0).is_empty());
}

#[test]
fn it_is_told_in_words_and_as_a_table() {
    let mut heat = heat();
    assert_eq!(
        sentence(&heat, HERE),
        "7 traces from 14:13:20 to 14:14:20: half took up to 1.10 ms, all but one in a hundred up to 900 ms, \
         the longest 900 ms; 1 of them failed."
    );
    heat.cut_unix_ms = Some(heat.from_unix_ms);
    assert!(sentence(&heat, HERE).ends_with("Only the newest are counted, back to 14:13:20."));
    assert_eq!(
        told(
            &heat,
            Selection {
                columns: (3, 3),
                rows: (5, 5)
            },
            HERE
        ),
        "14:13:23 to 14:13:24, 17.8 ms to 31.6 ms: 1 trace, 1 failed"
    );
    let slices = slices(&heat);
    assert_eq!(
        (slices.len(), slices.iter().map(|slice| slice.traces).sum::<u64>()),
        (8, 7)
    );
    assert_eq!((slices[0].failed, slices[0].middle_ns.0), (1, 1_000_000));
    assert!(sentence(&Heat::default(), HERE).starts_with("No trace"));
}
