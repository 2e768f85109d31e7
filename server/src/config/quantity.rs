//! Durations and sizes as people write them: `10s`, `1m 30s`, `64MiB`.
//!
//! A number without a unit is refused, and so is a value outside the range that its key allows.

use std::ops::RangeInclusive;
use std::time::Duration;

use protocol::limits::size;

/// Units of size, the longer names first, so that `MiB` is not read as `B`.
const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// A parser of durations within a range.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let duration = humantime::parse_duration(text)
            .map_err(|_| "not a duration; write a number and its unit, as `10s` or `500ms`".to_owned())?;
        if range.contains(&duration) {
            Ok(duration)
        } else {
            Err(format!(
                "out of range; write {} to {}",
                humantime::format_duration(*range.start()),
                humantime::format_duration(*range.end()),
            ))
        }
    }
}

/// A parser of sizes in bytes within a range.
pub(super) fn bytes(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<u64, String> {
    move |text| {
        let bytes = parse_bytes(text).ok_or_else(|| {
            "not a size; write a whole number and its unit, as `64MiB` or `1GiB`".to_owned()
        })?;
        if range.contains(&bytes) {
            Ok(bytes)
        } else {
            Err(format!(
                "out of range; write {} to {}",
                size(*range.start()),
                size(*range.end()),
            ))
        }
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| text.strip_suffix(name).map(|number| (number, unit)))?;
    let number = number.trim_end();
    // `parse` alone would take a leading plus.
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(*unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_a_whole_number_and_a_unit() {
        for (text, bytes) in [
            ("0B", Some(0)),
            ("64MiB", Some(64 << 20)),
            ("64 MiB", Some(64 << 20)),
            ("1GiB", Some(1 << 30)),
            ("2kB", Some(2_000)),
            ("3MB", Some(3_000_000)),
            ("64", None),
            ("MiB", None),
            ("1.5MiB", None),
            ("-1B", None),
            ("+1B", None),
            ("64mib", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
    }

    #[test]
    fn sizes_print_as_they_parse() {
        for text in ["1B", "1023B", "1KiB", "64MiB", "4GiB", "1TiB"] {
            assert_eq!(size(parse_bytes(text).unwrap()), text);
        }
    }

    #[test]
    fn durations_need_a_unit_and_stay_in_range() {
        let parse = duration(Duration::from_millis(1)..=Duration::from_secs(3_600));
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(parse("10").unwrap_err().starts_with("not a duration"));
        assert!(parse("-1s").unwrap_err().starts_with("not a duration"));
        assert_eq!(parse("0s").unwrap_err(), "out of range; write 1ms to 1h");
        assert_eq!(parse("2h").unwrap_err(), "out of range; write 1ms to 1h");
    }
}
