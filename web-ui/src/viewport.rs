//! `Viewport`: which rows of a long list there have to be, so that what is seen and a little more is there. Pure.
//!
//! Promises: the rows that are seen are among them, whatever the list's place; as many are kept below and above that
//! the next one can have the focus; the same part of a list gives the same rows, so that scrolling by a few px changes
//! nothing.

/// Rows beyond what is seen, on either side.
const BEYOND: usize = 8;
/// Changes come in steps of so many rows.
const STEP: usize = 4;

/// Where a list stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewport {
    /// From the window's top to the first row's, in px: negative once it is scrolled away.
    pub top: f64,
    /// The window's height.
    pub height: f64,
    /// A row's.
    pub row: f64,
}

impl Viewport {
    /// The rows from one to before another.
    pub fn rows(self, count: usize) -> (usize, usize) {
        let row = self.row.max(1.0);
        let first = (-self.top / row).floor().max(0.0) as usize;
        let end = ((self.height.max(0.0) - self.top) / row).ceil().max(0.0) as usize;
        let first = first.saturating_sub(BEYOND) / STEP * STEP;
        let end = (end.saturating_add(BEYOND)).div_ceil(STEP) * STEP;
        let end = end.min(count);
        (first.min(end), end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_is_there_wherever_the_list_stands() {
        for top in [-1e7, -66_000.0, -333.0, -1.0, 0.0, 400.0, 5_000.0] {
            for count in [0, 1, 30, 20_000] {
                let view = Viewport {
                    top,
                    height: 800.0,
                    row: 33.0,
                };
                let (first, end) = view.rows(count);
                assert!(first <= end && end <= count, "{top} {count}: {first} {end}");
                assert!(
                    end - first <= 800 / 33 + 2 * (BEYOND + STEP) + 2,
                    "{top}: {first} {end}"
                );
                for row in 0..count {
                    let y = top + row as f64 * 33.0;
                    let is_seen = y + 33.0 > 0.0 && y < 800.0;
                    assert!(
                        !is_seen || (first..end).contains(&row),
                        "{top}: row {row} of {first} to {end}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_little_scrolling_changes_nothing() {
        let at = |top: f64| {
            Viewport {
                top,
                height: 800.0,
                row: 33.0,
            }
            .rows(1_000)
        };
        assert_eq!(at(-1_000.0), at(-1_010.0));
        assert_ne!(at(-1_000.0), at(-1_400.0));
        assert_eq!(
            Viewport {
                top: 0.0,
                height: 0.0,
                row: 0.0
            }
            .rows(5),
            (0, 5)
        );
    }
}
