//! Numbers in words: durations, rates, sizes, counts, times of day.
//!
//! Promises: at most four significant digits and always a unit, so that a column of live values keeps its width.

/// Signs that turn the direction of writing, of all that follows them.
const TURNS: [char; 9] = [
    '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    '\u{2069}',
];

/// A text that turns nothing around it: names of other programs may hold signs that are not seen and make another text
/// of what stands beside them. They are shown as signs that are not known; letters of any script stay.
pub fn upright(text: String) -> String {
    match text.contains(TURNS) {
        true => text.replace(TURNS, "\u{fffd}"),
        false => text,
    }
}

/// A duration from ns: `840 ns`, `2.1 µs`, `1.24 ms`, `3.42 s`, `4 min 10 s`.
pub fn duration(ns: u64) -> String {
    let value = ns as f64;
    match ns {
        0 => "0".to_owned(),
        1..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", short(value / 1e3)),
        1_000_000..1_000_000_000 => format!("{} ms", short(value / 1e6)),
        1_000_000_000..120_000_000_000 => format!("{} s", short(value / 1e9)),
        _ => age(ns / 1_000_000),
    }
}

/// How many times as much, from 1 on: `1.3`, `9.7`, `51`.
pub fn ratio(times: f64) -> String {
    if times < 9.95 {
        format!("{times:.1}")
    } else {
        count(times.round() as u64)
    }
}

/// Whole ns with groups of three: `1 893 204`.
pub fn nanoseconds(ns: u64) -> String {
    format!("{} ns", grouped(ns, '\u{202f}'))
}

/// An age or an uptime from ms, in its two largest units: `12 s`, `4 min 10 s`, `3 h 5 min`, `2 d 1 h`.
pub fn age(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A rate: `0/s`, `0.3/s`, `21/s`, `1,214/s`, `48.2k/s`.
pub fn rate(per_s: f64) -> String {
    if per_s <= 0.0 || !per_s.is_finite() {
        return "0/s".to_owned();
    }
    if per_s < 9.95 {
        return format!("{per_s:.1}/s");
    }
    if per_s < 9_999.5 {
        return format!("{}/s", count(per_s.round() as u64));
    }
    format!("{:.1}k/s", per_s / 1e3)
}

/// A whole number with groups of three: `1,214`.
pub fn count(number: u64) -> String {
    grouped(number, ',')
}

/// Bytes: `214 B`, `1.2 KB`, `14 MB` (powers of 1,000, as in reports).
pub fn bytes(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} KB", short(value / 1e3)),
        1_000_000..1_000_000_000 => format!("{} MB", short(value / 1e6)),
        _ => format!("{} GB", short(value / 1e9)),
    }
}

/// A share of a whole: `0 %`, `< 0.1 %`, `0.4 %`, `61 %`; a dash where there is no whole.
pub fn percent(part: f64, whole: f64) -> String {
    if whole <= 0.0 {
        return "–".to_owned();
    }
    let share = part / whole * 100.0;
    if share <= 0.0 {
        "0 %".to_owned()
    } else if share < 0.1 {
        "< 0.1 %".to_owned()
    } else if share < 9.95 {
        format!("{share:.1} %")
    } else if share < 100.0 {
        // All but all is not all.
        format!("{:.0} %", share.min(99.0))
    } else {
        format!("{share:.0} %")
    }
}

/// The time of day of a moment, `14:02:31.884`, where local time is `offset_min` minutes ahead of UTC.
pub fn time_of_day(unix_ms: u64, offset_min: i64) -> String {
    let local = unix_ms as i64 + offset_min * 60_000;
    let ms = local.rem_euclid(86_400_000);
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1_000 % 60,
        ms % 1_000
    )
}

/// A moment, as near to now as it is: `14:02:31`, `14:02:31.5`, `22 Nov 14:02`.
pub fn moment(unix_ms: u64, now_ms: u64, offset_min: i64) -> String {
    let local = |ms: u64| ms as i64 + offset_min * 60_000;
    let time = time_of_day(unix_ms, offset_min);
    let day = local(unix_ms).div_euclid(86_400_000);
    if day == local(now_ms).div_euclid(86_400_000) {
        return time.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let (month, day) = date(day);
    format!("{day} {} {}", MONTHS[month], time.get(..8).unwrap_or(&time))
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Month (from 0) and day of a day since 1970: years are counted from March, so that leap days end them.
fn date(day: i64) -> (usize, i64) {
    let day = day + 719_468;
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 2
    } else {
        from_march - 10
    };
    (month as usize, of_year - (153 * from_march + 2) / 5 + 1)
}

/// `1 span`, `3 spans`.
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A list in a sentence: `a`, `a and b`, `a, b and c`.
pub fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [head @ .., last] => {
            let head: Vec<&str> = head.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", head.join(", "), last.as_ref())
        }
    }
}

fn short(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn grouped(number: u64, separator: char) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}

/// A WIT signature without what is between braces: `func(order: record {…}) -> u32`.
pub fn signature(whole: &str) -> String {
    let mut brief = String::with_capacity(whole.len());
    let mut depth = 0_usize;
    for c in whole.chars() {
        if c == '}' {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            brief.push(c);
        }
        if c == '{' {
            if depth == 0 {
                brief.push('…');
            }
            depth += 1;
        }
    }
    brief
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_that_turn_the_writing_are_seen() {
        assert_eq!(upright("a\u{202e}b\u{2066}".to_owned()), "a\u{fffd}b\u{fffd}");
        assert_eq!(upright("مرحبا \u{200d}🙂".to_owned()), "مرحبا \u{200d}🙂");
    }

    #[test]
    fn durations_choose_their_unit() {
        for (ns, text) in [
            (0, "0"),
            (840, "840 ns"),
            (2_100, "2.10 µs"),
            (58_000, "58.0 µs"),
            (999_400, "999 µs"),
            (1_240_000, "1.24 ms"),
            (9_420_000, "9.42 ms"),
            (3_420_000_000, "3.42 s"),
            (250_000_000_000, "4 min 10 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
        assert_eq!(nanoseconds(1_893_204), "1\u{202f}893\u{202f}204 ns");
    }

    #[test]
    fn signatures_are_brief_whatever_they_nest() {
        let whole = "func(a: record { b: list<record { c: u8 }>, d: s64 }, e: string) -> result<u32, variant { f, g(string) }>";
        assert_eq!(
            signature(whole),
            "func(a: record {…}, e: string) -> result<u32, variant {…}>"
        );
        assert_eq!(signature("func() -> u32"), "func() -> u32");
        assert_eq!(signature("} {"), "} {…");
    }

    #[test]
    fn ratios_have_two_digits_at_least() {
        assert_eq!(
            [1.26, 9.94, 51.4, 1_200.0].map(ratio),
            ["1.3", "9.9", "51", "1,200"]
        );
    }

    #[test]
    fn rates_and_counts_are_grouped() {
        for (per_s, text) in [
            (0.0, "0/s"),
            (f64::NAN, "0/s"),
            (0.26, "0.3/s"),
            (21.4, "21/s"),
            (1_213.6, "1,214/s"),
            (48_210.0, "48.2k/s"),
        ] {
            assert_eq!(rate(per_s), text);
        }
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(count(999), "999");
    }

    #[test]
    fn shares_never_round_to_all_or_nothing() {
        assert_eq!(percent(1.0, 100_000.0), "< 0.1 %");
        assert_eq!(percent(99_999.0, 100_000.0), "99 %");
        assert_eq!(percent(0.0, 5.0), "0 %");
        assert_eq!(percent(5.0, 5.0), "100 %");
        assert_eq!(percent(0.4, 100.0), "0.4 %");
        assert_eq!(percent(1.0, 0.0), "–");
    }

    #[test]
    fn times_of_day_wrap_at_midnight() {
        assert_eq!(time_of_day(1_000, 0), "00:00:01.000");
        assert_eq!(time_of_day(1_000, -60), "23:00:01.000");
        assert_eq!(time_of_day(86_399_999, 120), "01:59:59.999");
    }

    #[test]
    fn moments_of_other_days_have_their_date() {
        let now = 1_790_000_000_000;
        assert_eq!(moment(now, now, 0), "14:13:20");
        assert_eq!(moment(now + 500, now, 0), "14:13:20.5");
        assert_eq!(moment(now - 800_000, now, 0), "14:00:00");
        assert_eq!(moment(now - 800_000, now, 60), "15:00:00");
        assert_eq!(moment(now - 86_400_000, now, 0), "20 Sep 14:13:20");
        assert_eq!(moment(1_709_164_800_000, now, 0), "29 Feb 00:00:00");
        assert_eq!(moment(1_709_251_200_000, now, 0), "1 Mar 00:00:00");
        assert_eq!(moment(0, now, 0), "1 Jan 00:00:00");
    }

    #[test]
    fn ages_sizes_and_lists_read_as_words() {
        assert_eq!(age(350), "350 ms");
        assert_eq!(age(250_000), "4 min 10 s");
        assert_eq!(age(90_000_000), "1 d 1 h");
        assert_eq!(bytes(214), "214 B");
        assert_eq!(bytes(14_200_000), "14.2 MB");
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(plural(1, "span", "spans"), "1 span");
        assert_eq!(plural(2_000, "span", "spans"), "2,000 spans");
    }
}
