//! The table of a benchmark: measured side by side, told as ratios.
//!
//! [`paired`] runs two things in turns, so that what else the machine does meets both; a ratio is the median over the
//! turns, with the quartiles beside it. Nothing here judges: a bound that is missed is printed as missed.

use std::fmt::Write as _;
use std::path::Path;

/// How a figure is bounded.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// The less the better.
    AtMost(f64),
    /// The more the better.
    AtLeast(f64),
    /// For information.
    Told,
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
            Self::Told => true,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {bound}"),
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::Told => "-".to_owned(),
        }
    }
}

/// One figure.
#[derive(Debug)]
pub struct Row {
    /// Its name, as scripts know it.
    pub name: &'static str,
    /// What it came to.
    pub value: f64,
    /// What it must come to.
    pub must: Bound,
    /// What it should come to.
    pub aim: f64,
    /// What was compared, in absolute figures of this machine.
    pub detail: String,
}

/// Two things measured in turns.
#[derive(Debug)]
pub struct Paired {
    /// The median of the first, as it was told.
    pub first: f64,
    /// The median of the second.
    pub second: f64,
    /// The median of first ÷ second, turn by turn.
    pub ratio: f64,
    /// The quartiles of that.
    pub quartiles: (f64, f64),
}

impl Paired {
    /// A row whose value is the ratio, and whose detail names both in a unit.
    pub fn row(
        &self,
        name: &'static str,
        must: Bound,
        aim: f64,
        (first, second, unit): (&str, &str, &str),
    ) -> Row {
        let (low, high) = self.quartiles;
        Row {
            name,
            value: self.ratio,
            must,
            aim,
            detail: format!(
                "{first} {} {unit}, {second} {} {unit}; quartiles {low:.2} to {high:.2}",
                rounded(self.first),
                rounded(self.second)
            ),
        }
    }
}

/// Measures both in turns, `turns` times, after one turn that is not counted.
pub fn paired(turns: usize, mut first: impl FnMut() -> f64, mut second: impl FnMut() -> f64) -> Paired {
    let _warm = (first(), second());
    let mut firsts = Vec::with_capacity(turns);
    let mut seconds = Vec::with_capacity(turns);
    for turn in 0..turns {
        // Who goes first changes, so that neither always follows the other.
        if turn % 2 == 0 {
            firsts.push(first());
            seconds.push(second());
        } else {
            seconds.push(second());
            firsts.push(first());
        }
    }
    let ratios: Vec<f64> = firsts
        .iter()
        .zip(&seconds)
        .map(|(first, second)| first / second)
        .collect();
    Paired {
        first: quantile(&firsts, 0.5),
        second: quantile(&seconds, 0.5),
        ratio: quantile(&ratios, 0.5),
        quartiles: (quantile(&ratios, 0.25), quantile(&ratios, 0.75)),
    }
}

/// The value below which the share `q` of the values lies; 0 for none.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1) as f64;
    sorted
        .get((q * last).round() as usize)
        .copied()
        .unwrap_or_default()
}

/// Three digits that say something.
pub fn rounded(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The table as text, one line a row.
pub fn text(rows: &[Row]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<22} {:>9} {:>9} {:>7}  ",
        "figure", "measured", "must", "aim"
    );
    for row in rows {
        let verdict = match row.must {
            Bound::Told => "      ",
            bound if bound.holds(row.value) => "met   ",
            _ => "MISSED",
        };
        let aim = match row.must {
            Bound::Told => "-".to_owned(),
            _ => row.aim.to_string(),
        };
        let _ = writeln!(
            out,
            "{:<22} {:>9} {:>9} {:>7}  {verdict}  {}",
            row.name,
            rounded(row.value),
            row.must.shown(),
            aim,
            row.detail
        );
    }
    out
}

/// Writes `<directory>/<name>.json`: `{"ratios": {row: number}, "machine": …, "commit": …}`.
pub fn write(directory: &Path, name: &str, rows: &[Row], machine: &str, commit: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let ratios: serde_json::Map<String, serde_json::Value> = rows
        .iter()
        .map(|row| (row.name.to_owned(), serde_json::json!(row.value)))
        .collect();
    let file = serde_json::json!({ "ratios": ratios, "machine": machine, "commit": commit });
    std::fs::write(directory.join(format!("{name}.json")), format!("{file:#}\n"))
}
