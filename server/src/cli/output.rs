//! How answers look: aligned tables, durations and sizes for people, JSON for scripts.

use std::io::Write;

use serde::Serialize;

use super::error::Error;

/// Writes to standard output. Who reads no further (`| head`) ends the command without a complaint.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let written = std::io::stdout()
        .write_all(text.as_bytes())
        .and_then(|()| std::io::stdout().flush());
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Error::Said),
        written => written.map_err(|error| Error::Failed(format!("write to standard output: {error}"))),
    }
}

/// Writes JSON for scripts, indented.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(value).map_err(|error| Error::Failed(error.to_string()))?;
    print(&format!("{json}\n"))
}

/// A line on standard error. If nobody reads it, there is nobody to tell that either.
pub(super) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Rows under a heading, each column as wide as its widest cell.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// Columns of numbers, which end at the same place instead of beginning there.
    right: &'static [usize],
}

impl Table {
    pub(super) fn new(heading: &[&str], right: &'static [usize]) -> Self {
        Self {
            rows: vec![heading.iter().map(|cell| (*cell).to_owned()).collect()],
            right,
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| {
                    let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
                    if self.right.contains(&column) {
                        format!("{pad}{cell}")
                    } else {
                        format!("{cell}{pad}")
                    }
                });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A duration with three digits: `812 ns`, `12.3 µs`, `4.56 ms`, `1.20 s`.
pub(super) fn duration(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    match value {
        100.0.. => format!("{value:.0} {unit}"),
        10.0.. => format!("{value:.1} {unit}"),
        _ => format!("{value:.2} {unit}"),
    }
}

/// A size: `812 B`, `12.3 KB`, `4.6 MB`.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Names after one another, or a dash.
pub(super) fn list(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    if names.is_empty() {
        "-".to_owned()
    } else {
        names.join(", ")
    }
}

/// A word as the API writes it: `"local-only"` → `local-only`.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_by_characters() {
        let mut table = Table::new(&["NAME", "TIME", "NOTE"], &[1]);
        table.row(["catalog".into(), "12.3 µs".into(), "x".into()]);
        table.row(["ad".into(), "5 ns".into(), String::new()]);
        assert_eq!(
            table.render(),
            "NAME        TIME  NOTE\ncatalog  12.3 µs  x\nad          5 ns\n"
        );
    }

    #[test]
    fn durations_keep_three_digits() {
        let shown = [0, 999, 1_234, 12_345, 123_456, 1_234_567, 2_500_000_000].map(duration);
        assert_eq!(
            shown,
            [
                "0 ns", "999 ns", "1.23 µs", "12.3 µs", "123 µs", "1.23 ms", "2.50 s"
            ]
        );
    }

    #[test]
    fn sizes_are_decimal() {
        assert_eq!(
            [0, 1_500, 2_000_000, 3_100_000_000].map(size),
            ["0 B", "1.5 KB", "2.0 MB", "3.1 GB"]
        );
    }

    #[test]
    fn words_are_those_of_the_api() {
        assert_eq!(word(&protocol::api::handlers::Reach::LocalOnly), "local-only");
        assert_eq!(list(Vec::<String>::new()), "-");
    }
}
