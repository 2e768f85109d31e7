//! Format: numbers as people read them, the same in text, HTML and progress.

/// `1234567` → `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A duration with three significant digits: `840 ns`, `84.2 µs`, `2.31 ms`, `1.20 s`.
pub fn nanos(ns: u64) -> String {
    nanos_f64(ns as f64)
}

/// As [`nanos`], also for negative and fractional values.
pub fn nanos_f64(ns: f64) -> String {
    let (value, unit) = match ns.abs() {
        size if size < 999.5 => return format!("{ns:.0} ns"),
        size if size < 999_500.0 => (ns / 1e3, "µs"),
        size if size < 999_500_000.0 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    format!("{} {unit}", significant(value))
}

/// Three significant digits, with thousands grouped.
pub fn significant(value: f64) -> String {
    match value.abs() {
        size if size >= 999.5 => {
            let sign = if value < 0.0 { "-" } else { "" };
            format!("{sign}{}", count(size.round() as u64))
        }
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Bytes: `980 B`, `1.24 KiB`, `3.10 MiB`.
pub fn bytes(bytes: f64) -> String {
    const KIB: f64 = 1024.0;
    match bytes.abs() {
        size if size < 999.5 => format!("{bytes:.0} B"),
        size if size < 999.5 * KIB => format!("{} KiB", significant(bytes / KIB)),
        size if size < 999.5 * KIB * KIB => format!("{} MiB", significant(bytes / KIB / KIB)),
        _ => format!("{} GiB", significant(bytes / KIB / KIB / KIB)),
    }
}

/// A share as a percentage: `0 %`, `0.04 %`, `12.3 %`.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        percent if percent < 0.995 => format!("{percent:.2} %"),
        percent => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            (count(0).as_str(), count(999).as_str(), count(1_234_567).as_str()),
            ("0", "999", "1,234,567")
        );
        assert_eq!(nanos(840), "840 ns");
        assert_eq!(nanos(84_210), "84.2 µs");
        assert_eq!(nanos(999_600), "1.00 ms");
        assert_eq!(nanos(2_314_000), "2.31 ms");
        assert_eq!(nanos(1_200_000_000), "1.20 s");
        assert_eq!(nanos_f64(-2_314_000.0), "-2.31 ms");
        assert_eq!(significant(1834.2), "1,834");
        assert_eq!(significant(99.96), "100");
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(1270.0), "1.24 KiB");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.123), "12.3 %");
    }
}
