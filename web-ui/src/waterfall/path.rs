//! The critical path through the rows that are shown, as one line.

use super::Row;

/// A stretch of the critical path in a row, by the row's place in the list that is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// The place of its row.
    pub place: usize,
    /// Start, in ns.
    pub start: u64,
    /// End, in ns.
    pub end: u64,
}

/// The critical path, by start; a hidden row's stretches lie on the row that hides it.
pub fn critical_path(rows: &[Row], shown: &[usize]) -> Vec<Stretch> {
    let mut place_of: Vec<usize> = Vec::with_capacity(rows.len());
    let mut place = 0;
    for index in 0..rows.len() {
        if shown.get(place + 1) == Some(&index) {
            place += 1;
        }
        place_of.push(place);
    }
    let mut path: Vec<Stretch> = rows
        .iter()
        .zip(&place_of)
        .flat_map(|(row, &place)| {
            row.critical
                .iter()
                .map(move |&(start, end)| Stretch { place, start, end })
        })
        .collect();
    path.sort_by_key(|stretch| (stretch.start, stretch.end));
    let mut joined: Vec<Stretch> = Vec::with_capacity(path.len());
    for stretch in path {
        match joined.last_mut() {
            Some(last) if last.place == stretch.place && stretch.start <= last.end => {
                last.end = last.end.max(stretch.end)
            }
            _ => joined.push(stretch),
        }
    }
    joined
}

/// The path without stretches shorter than `least`, which would be a hatching; what stays is drawn on to what follows,
/// so that it is still one line.
pub fn outline(mut path: Vec<Stretch>, least: u64) -> Vec<Stretch> {
    path.retain(|stretch| stretch.end.saturating_sub(stretch.start) >= least);
    let mut line: Vec<Stretch> = Vec::with_capacity(path.len());
    for stretch in path {
        match line.last_mut() {
            Some(last) if last.place == stretch.place => last.end = stretch.end,
            last => {
                if let Some(last) = last {
                    last.end = stretch.start;
                }
                line.push(stretch);
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_is_one_line_of_the_longer_stretches() {
        let path = [
            (0, 0, 50),
            (1, 50, 90),
            (0, 90, 91),
            (2, 91, 140),
            (1, 140, 141),
            (2, 141, 160),
            (0, 160, 200),
        ];
        let path = path.map(|(place, start, end)| Stretch { place, start, end });
        let line: Vec<_> = outline(path.to_vec(), 10)
            .iter()
            .map(|s| (s.place, s.start, s.end))
            .collect();
        assert_eq!(line, [(0, 0, 50), (1, 50, 91), (2, 91, 160), (0, 160, 200)]);
        assert_eq!(outline(path.to_vec(), 0).len(), 7);
        assert_eq!(outline(path.to_vec(), 1_000), []);
    }
}
