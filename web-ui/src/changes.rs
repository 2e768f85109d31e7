//! Before and after a change: the two sets of traces that a change divides.

use protocol::api::chronicle::{Entry, Happening};

/// What is compared reaches no further, in ms: traffic of long ago was another one.
const REACH_MS: u64 = 3_600_000;

/// A change with the traces before it and after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When, in ms since the Unix epoch.
    pub unix_ms: u64,
    /// What, in words.
    pub text: String,
    /// The search for traces before it, back to the change before.
    pub before: String,
    /// The search for traces after it, up to the next change.
    pub after: String,
}

/// Placements that came into force and versions that serve, the newest first. What happens in the same moment, as at the
/// start, is one change.
pub fn changes(entries: &[Entry], now_ms: u64) -> Vec<Change> {
    let divides = |entry: &&Entry| matches!(entry.what, Happening::Placed | Happening::HandlerServes);
    let mut divided: Vec<(u64, String)> = Vec::new();
    for entry in entries.iter().filter(divides) {
        match divided.last_mut() {
            Some((at, text)) if at.abs_diff(entry.unix_ms) < 1_000 => {
                // Entries come the newest first, a change is told in its order.
                *text = format!("{}; {text}", entry.text);
            }
            _ => divided.push((entry.unix_ms, entry.text.clone())),
        }
    }
    let at = |place: Option<usize>| place.and_then(|place| divided.get(place)).map(|(at, _)| *at);
    let change = |(place, (unix_ms, text)): (usize, &(u64, String))| {
        let from = at(place.checked_add(1))
            .unwrap_or(0)
            .max(unix_ms.saturating_sub(REACH_MS));
        let to = at(place.checked_sub(1)).unwrap_or(now_ms).min(unix_ms + REACH_MS);
        Change {
            unix_ms: *unix_ms,
            text: text.clone(),
            before: format!("from={from}&to={unix_ms}"),
            after: format!("from={unix_ms}&to={to}"),
        }
    };
    let changes = divided.iter().enumerate().map(change);
    // Before the first there was nothing to compare with.
    changes.take(divided.len().saturating_sub(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(unix_ms: u64, what: Happening, text: &str) -> Entry {
        Entry {
            number: unix_ms,
            unix_ms,
            what,
            node: None,
            handler: None,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_change_divides_up_to_its_neighbours() {
        let entries = [
            entry(90_500, Happening::NodeDied, "cart died"),
            entry(80_000, Happening::HandlerServes, "cart serves another version"),
            entry(50_400, Happening::Placed, "apart"),
            entry(50_000, Happening::HandlerServes, "ad serves"),
            entry(10_000, Happening::Placed, "together"),
        ];
        let found = changes(&entries, 100_000);
        let found: Vec<_> = found
            .iter()
            .map(|one| {
                (
                    one.unix_ms,
                    one.text.as_str(),
                    one.before.as_str(),
                    one.after.as_str(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                (
                    80_000,
                    "cart serves another version",
                    "from=50400&to=80000",
                    "from=80000&to=100000"
                ),
                (
                    50_400,
                    "ad serves; apart",
                    "from=10000&to=50400",
                    "from=50400&to=80000"
                ),
            ]
        );
    }

    #[test]
    fn nothing_is_compared_with_what_is_long_past() {
        let entries = [
            entry(2 * REACH_MS, Happening::Placed, "apart"),
            entry(5, Happening::Placed, "together"),
        ];
        let found = changes(&entries, 9 * REACH_MS);
        assert_eq!(found[0].before, format!("from={REACH_MS}&to={}", 2 * REACH_MS));
        assert_eq!(
            found[0].after,
            format!("from={}&to={}", 2 * REACH_MS, 3 * REACH_MS)
        );
        assert_eq!(changes(&entries[1..], 10), []);
        assert_eq!(changes(&[], 10), []);
    }
}
