//! Money in other currencies, at fixed rates of our own making, rounded to the smallest coin of the target.
//!
//! Amounts are integers throughout: units and billionths, rates in millionths. Halves round away from zero.

use shop::{Currency, CurrencyFault, Money};

sdk::handler! { path: "../wit", world: "currency", contract: shop, handler: Exchange }

/// A currency, what one unit of the shop's own currency buys of it in millionths, and the size of its smallest coin
/// in billionths.
struct Rate {
    currency: &'static str,
    micros: i128,
    coin_nanos: i128,
}

const CENT: i128 = 10_000_000;
const WHOLE: i128 = 1_000_000_000;

/// The shop's own currency comes first.
const RATES: [Rate; 8] = [
    Rate {
        currency: "EUR",
        micros: 1_000_000,
        coin_nanos: CENT,
    },
    Rate {
        currency: "USD",
        micros: 1_125_000,
        coin_nanos: CENT,
    },
    Rate {
        currency: "GBP",
        micros: 862_500,
        coin_nanos: CENT,
    },
    Rate {
        currency: "CHF",
        micros: 940_000,
        coin_nanos: 5 * CENT,
    },
    Rate {
        currency: "JPY",
        micros: 163_400_000,
        coin_nanos: WHOLE,
    },
    Rate {
        currency: "SEK",
        micros: 11_250_000,
        coin_nanos: WHOLE,
    },
    Rate {
        currency: "CAD",
        micros: 1_536_000,
        coin_nanos: 5 * CENT,
    },
    Rate {
        currency: "INR",
        micros: 96_800_000,
        coin_nanos: WHOLE,
    },
];

/// The bureau that changes money.
pub struct Exchange;

impl Currency for Exchange {
    fn supported_currencies(&self) -> Result<Vec<String>, CurrencyFault> {
        Ok(RATES.iter().map(|rate| rate.currency.to_owned()).collect())
    }

    fn convert(&self, amount: Money, to: String) -> Result<Money, CurrencyFault> {
        let (from, to) = (rate(&amount.currency)?, rate(&to)?);
        let nanos = amount.total_nanos().ok_or_else(|| {
            CurrencyFault::InvalidAmount(
                "units and nanos differ in sign, or nanos make a whole unit".to_owned(),
            )
        })?;
        if from.currency == to.currency {
            return Ok(amount);
        }
        // A 64-bit number of units times the largest rate stays far below 2^127.
        let converted = divide_rounded(nanos * to.micros, from.micros);
        let rounded = divide_rounded(converted, to.coin_nanos) * to.coin_nanos;
        Money::from_total_nanos(to.currency, rounded).ok_or_else(|| {
            CurrencyFault::InvalidAmount(format!("the amount is too large in {}", to.currency))
        })
    }
}

fn rate(currency: &str) -> Result<&'static Rate, CurrencyFault> {
    let found = RATES.iter().find(|rate| rate.currency == currency);
    found.ok_or_else(|| CurrencyFault::UnknownCurrency(currency.to_owned()))
}

/// Divides by a positive number; halves go away from zero.
fn divide_rounded(number: i128, by: i128) -> i128 {
    (number + number.signum() * (by / 2)) / by
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(units: i64, nanos: i32, from: &str, to: &str) -> Result<Money, CurrencyFault> {
        Exchange.convert(
            Money {
                currency: from.into(),
                units,
                nanos,
            },
            to.into(),
        )
    }

    fn money(units: i64, nanos: i32, currency: &str) -> Result<Money, CurrencyFault> {
        Ok(Money {
            currency: currency.into(),
            units,
            nanos,
        })
    }

    #[test]
    fn amounts_are_rounded_to_the_smallest_coin() {
        assert_eq!(convert(34, 0, "EUR", "USD"), money(38, 250_000_000, "USD"));
        assert_eq!(
            convert(12, 500_000_000, "EUR", "JPY"),
            money(2_043, 0, "JPY"),
            "2042.5 rounds up"
        );
        assert_eq!(
            convert(-12, -500_000_000, "EUR", "JPY"),
            money(-2_043, 0, "JPY"),
            "and down below zero"
        );
        assert_eq!(
            convert(9, 800_000_000, "EUR", "CHF"),
            money(9, 200_000_000, "CHF"),
            "9.212 in steps of 5"
        );
        assert_eq!(convert(0, 4_000_000, "EUR", "USD"), money(0, 0, "USD"));
    }

    #[test]
    fn own_currency_is_left_alone() {
        assert_eq!(convert(1, 1, "EUR", "EUR"), money(1, 1, "EUR"));
    }

    #[test]
    fn there_and_back_is_near() {
        for currency in Exchange.supported_currencies().expect("the rates are fixed") {
            let there = convert(1_000, 0, "EUR", &currency).expect("it is supported");
            let back = Exchange.convert(there, "EUR".into()).expect("it is supported");
            let nanos = back.total_nanos().expect("it is well formed");
            assert!(
                (nanos - 1_000 * WHOLE).abs() <= WHOLE / 10,
                "{currency}: {back:?}"
            );
        }
    }

    #[test]
    fn bad_input_is_named() {
        assert_eq!(
            convert(1, 0, "EUR", "ZZZ"),
            Err(CurrencyFault::UnknownCurrency("ZZZ".into()))
        );
        assert!(matches!(
            convert(1, -1, "EUR", "USD"),
            Err(CurrencyFault::InvalidAmount(_))
        ));
        assert!(matches!(
            convert(i64::MAX, 0, "EUR", "JPY"),
            Err(CurrencyFault::InvalidAmount(_))
        ));
        assert_eq!(convert(i64::MIN, 0, "EUR", "EUR"), money(i64::MIN, 0, "EUR"));
    }

    #[test]
    fn at_least_six_currencies_the_shops_own_first() {
        let all = Exchange.supported_currencies().expect("the rates are fixed");
        assert!(all.len() >= 6);
        assert_eq!(all.first().map(String::as_str), Some(shop::SHOP_CURRENCY));
    }
}
