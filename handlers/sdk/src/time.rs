//! The date (`wasi:clocks/wall-clock`). For measuring, use the trace of the call instead.

/// Tells the time of day.
pub trait Clock {
    /// Whole seconds since the first of January 1970, UTC.
    fn now_seconds(&self) -> u64;

    /// The year and the month (1 to 12) that it is, in UTC.
    fn year_and_month(&self) -> (u16, u8) {
        year_and_month(self.now_seconds())
    }
}

/// The civil date of a day number, by counting years of 365.2425 days from the first of March of the year 0.
fn year_and_month(seconds: u64) -> (u16, u8) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let days = seconds / 86_400 + DAYS_TO_1970;
    let (era, day) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let (month, next) = if from_march < 10 {
        (from_march + 3, 0)
    } else {
        (from_march - 9, 1)
    };
    let year = era * 400 + year + next;
    (
        u16::try_from(year).unwrap_or(u16::MAX),
        u8::try_from(month).unwrap_or(12),
    )
}

#[cfg(target_arch = "wasm32")]
impl<W: crate::grant::WallClock> Clock for W {
    fn now_seconds(&self) -> u64 {
        crate::bindings::wasi::clocks::wall_clock::now().seconds
    }
}

#[cfg(test)]
mod tests {
    use super::year_and_month;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let day = |days: u64| year_and_month(days * 86_400);
        assert_eq!(day(0), (1970, 1));
        assert_eq!(day(58), (1970, 2));
        assert_eq!(day(59), (1970, 3));
        assert_eq!(day(11_015), (2000, 2), "the 28th of February 2000");
        assert_eq!(day(11_016), (2000, 2), "2000 was a leap year");
        assert_eq!(day(11_017), (2000, 3));
        assert_eq!(day(20_453), (2025, 12), "the last of December 2025");
        assert_eq!(day(20_454), (2026, 1));
        assert_eq!(
            day(47_540),
            (2100, 2),
            "2100 is no leap year: the 28th of February"
        );
        assert_eq!(day(47_541), (2100, 3));
    }
}
