//! Prices as this visitor sees them: converted as long as the currency handler answers, else in the shop's own.
//!
//! After the first failure on a page it is not asked again, so that a page with many prices waits at most once.

use std::cell::Cell;

use sdk::{Log, Outcome};
use shop::{Currency, Money};

use crate::visit::Visit;

/// Currencies without a smaller coin that anybody uses.
const WHOLE: [&str; 3] = ["INR", "JPY", "SEK"];

pub(crate) struct Prices<'a, W> {
    world: &'a W,
    currency: &'a str,
    silent: Cell<bool>,
}

impl<'a, W: Currency + Log> Prices<'a, W> {
    pub(crate) fn new(world: &'a W, visit: &'a Visit) -> Self {
        Self {
            world,
            currency: &visit.currency,
            silent: Cell::new(false),
        }
    }

    /// The amount in the visitor's currency, or as it is.
    pub(crate) fn convert(&self, amount: &Money) -> Money {
        if self.silent.get() {
            return amount.clone();
        }
        let converted = self.world.convert(amount.clone(), self.currency.to_owned());
        converted.optional(self.world, "currency").unwrap_or_else(|| {
            self.silent.set(true);
            amount.clone()
        })
    }

    /// The same as text.
    pub(crate) fn show(&self, amount: &Money) -> String {
        text(&self.convert(amount))
    }
}

/// An amount as people write it, as `€34.00` or `JPY 2,043`.
pub(crate) fn text(money: &Money) -> String {
    let sign = if money.units < 0 || money.nanos < 0 {
        "−"
    } else {
        ""
    };
    let symbol = match money.currency.as_str() {
        "EUR" => "€",
        "USD" => "$",
        "GBP" => "£",
        "JPY" => "¥",
        "INR" => "₹",
        other => &format!("{other} "),
    };
    let units = grouped(money.units.unsigned_abs());
    match WHOLE.contains(&money.currency.as_str()) {
        true => format!("{sign}{symbol}{units}"),
        false => format!(
            "{sign}{symbol}{units}.{:02}",
            money.nanos.unsigned_abs() / 10_000_000
        ),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        let shown = |currency: &str, units, nanos| {
            text(&Money {
                currency: currency.into(),
                units,
                nanos,
            })
        };
        assert_eq!(shown("EUR", 34, 0), "€34.00");
        assert_eq!(shown("USD", 1_234_567, 50_000_000), "$1,234,567.05");
        assert_eq!(shown("JPY", 2_043, 0), "¥2,043");
        assert_eq!(shown("CHF", 0, 950_000_000), "CHF 0.95");
        assert_eq!(shown("GBP", -3, -500_000_000), "−£3.50");
    }
}
