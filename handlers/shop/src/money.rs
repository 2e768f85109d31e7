//! Arithmetic of `money`: exact, in whole units and billionths, never in floats. Overflow is an answer, not a trap.

use crate::Money;

const NANOS_PER_UNIT: i128 = 1_000_000_000;

impl Money {
    /// No money, in a currency.
    pub fn zero(currency: &str) -> Self {
        Self {
            currency: currency.to_owned(),
            units: 0,
            nanos: 0,
        }
    }

    /// An amount in hundredths, as prices are written.
    pub fn from_cents(currency: &str, cents: i64) -> Self {
        let nanos = i32::try_from(cents % 100).unwrap_or_default() * 10_000_000;
        Self {
            currency: currency.to_owned(),
            units: cents / 100,
            nanos,
        }
    }

    /// The amount in billionths; absent if it is not well formed.
    pub fn total_nanos(&self) -> Option<i128> {
        let signs_agree = self.units == 0 || self.nanos == 0 || (self.units < 0) == (self.nanos < 0);
        let well_formed = self.nanos.unsigned_abs() < 1_000_000_000 && signs_agree;
        well_formed.then(|| i128::from(self.units) * NANOS_PER_UNIT + i128::from(self.nanos))
    }

    /// The amount of so many billionths; absent if it is too large.
    pub fn from_total_nanos(currency: &str, total: i128) -> Option<Self> {
        let units = i64::try_from(total / NANOS_PER_UNIT).ok()?;
        let nanos = i32::try_from(total % NANOS_PER_UNIT).ok()?;
        Some(Self {
            currency: currency.to_owned(),
            units,
            nanos,
        })
    }

    /// The sum of two amounts of one currency.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        Self::from_total_nanos(&self.currency, self.total_nanos()? + other.total_nanos()?)
    }

    /// So many times the amount.
    pub fn times(&self, count: u32) -> Option<Self> {
        Self::from_total_nanos(
            &self.currency,
            self.total_nanos()?.checked_mul(i128::from(count))?,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(units: i64, nanos: i32) -> Money {
        Money {
            currency: "EUR".to_owned(),
            units,
            nanos,
        }
    }

    #[test]
    fn sums_and_products_carry() {
        assert_eq!(
            money(1, 900_000_000).plus(&money(0, 200_000_000)),
            Some(money(2, 100_000_000))
        );
        assert_eq!(
            money(2, 0).plus(&money(-1, -500_000_000)),
            Some(money(0, 500_000_000))
        );
        assert_eq!(money(0, 990_000_000).times(3), Some(money(2, 970_000_000)));
        assert_eq!(Money::from_cents("EUR", 1_995), money(19, 950_000_000));
    }

    #[test]
    fn what_is_malformed_or_too_large_has_no_sum() {
        assert_eq!(money(1, -1).total_nanos(), None);
        assert_eq!(money(0, 1_000_000_000).total_nanos(), None);
        assert_eq!(money(i64::MAX, 0).plus(&money(1, 0)), None);
        assert_eq!(money(i64::MAX, 0).times(2), None);
        assert_eq!(money(1, 0).plus(&Money::zero("USD")), None);
    }
}
