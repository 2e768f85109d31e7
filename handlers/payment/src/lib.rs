//! The payment: checks a card as its issuer would before asking the bank, and makes up the transaction.
//!
//! No money moves and no card is kept or logged, not even in part.

use sdk::{Clock, Random};
use shop::{Card, Money, Payment, PaymentFault};

sdk::handler! { path: "../wit", world: "payment", contract: shop, handler: Till(World) }

/// The till at the counter.
pub struct Till<W>(pub W);

impl<W: Clock + Random> Payment for Till<W> {
    fn charge(&self, amount: Money, card: Card) -> Result<String, PaymentFault> {
        let total = amount.total_nanos().unwrap_or_default();
        if total <= 0 {
            return Err(PaymentFault::Invalid(
                "the amount is not more than nothing".to_owned(),
            ));
        }
        check_number(&card.number)?;
        check_code(&card.code)?;
        check_expiry(&card, self.0.year_and_month())?;
        Ok(format!("tx-{}", self.0.random_hex(12)))
    }
}

fn check_number(number: &str) -> Result<(), PaymentFault> {
    let invalid = |reason: &str| Err(PaymentFault::Invalid(reason.to_owned()));
    let mut digits = Vec::with_capacity(19);
    for character in number.chars() {
        match character.to_digit(10) {
            Some(digit) => digits.push(digit),
            None if character == ' ' || character == '-' => {}
            None => return invalid("the card number has characters that are not digits"),
        }
    }
    if !(13..=19).contains(&digits.len()) {
        return invalid("a card number has 13 to 19 digits");
    }
    if !luhn(&digits) {
        return invalid("the card number has a wrong digit");
    }
    match digits.as_slice() {
        [4, ..] | [5, 1..=5, ..] | [2, 2..=7, ..] => Ok(()),
        _ => Err(PaymentFault::Declined(
            "only cards that begin with 2, 4 or 5 are taken".to_owned(),
        )),
    }
}

/// The check sum of card numbers: every second digit from the right counts twice.
fn luhn(digits: &[u32]) -> bool {
    let weighed = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ => digit * 2 - if *digit > 4 { 9 } else { 0 },
        });
    weighed.sum::<u32>() % 10 == 0
}

fn check_code(code: &str) -> Result<(), PaymentFault> {
    let well_formed = matches!(code.len(), 3 | 4) && code.bytes().all(|byte| byte.is_ascii_digit());
    if well_formed {
        Ok(())
    } else {
        Err(PaymentFault::Invalid(
            "the code has three or four digits".to_owned(),
        ))
    }
}

/// A card is good until the end of the month that is printed on it.
fn check_expiry(card: &Card, now: (u16, u8)) -> Result<(), PaymentFault> {
    if !(1..=12).contains(&card.expiry_month) {
        return Err(PaymentFault::Invalid("the month of expiry is 1 to 12".to_owned()));
    }
    if (card.expiry_year, card.expiry_month) < now {
        return Err(PaymentFault::Declined("the card has expired".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sdk::fake::{Counting, Stopped};

    use super::*;

    struct Fake(Counting, Stopped);

    impl Random for Fake {
        fn random_bytes(&self, count: usize) -> Vec<u8> {
            self.0.random_bytes(count)
        }
    }

    impl Clock for Fake {
        fn now_seconds(&self) -> u64 {
            self.1.now_seconds()
        }
    }

    /// It is February 2030.
    fn till() -> Till<Fake> {
        Till(Fake(Counting::default(), Stopped(1_897_000_000)))
    }

    fn card() -> Card {
        Card {
            number: "4539 1488 0343 6467".into(),
            code: "123".into(),
            expiry_month: 2,
            expiry_year: 2030,
        }
    }

    fn charge(card: Card) -> Result<String, PaymentFault> {
        till().charge(Money::from_cents("EUR", 1_000), card)
    }

    #[test]
    fn good_card_is_charged_in_its_last_month() {
        assert_eq!(charge(card()), Ok("tx-000102030405060708090a0b".into()));
    }

    #[test]
    fn expired_card_is_declined() {
        assert!(matches!(
            charge(Card {
                expiry_month: 1,
                ..card()
            }),
            Err(PaymentFault::Declined(_))
        ));
        assert!(matches!(
            charge(Card {
                expiry_year: 2029,
                ..card()
            }),
            Err(PaymentFault::Declined(_))
        ));
        assert!(
            charge(Card {
                expiry_year: 2031,
                expiry_month: 1,
                ..card()
            })
            .is_ok()
        );
    }

    #[test]
    fn malformed_cards_are_invalid() {
        for number in [
            "",
            "4539 1488 0343 6466",
            "4539 1488 0343 646x",
            "4242",
            &"0".repeat(20),
        ] {
            let answer = charge(Card {
                number: number.into(),
                ..card()
            });
            assert!(
                matches!(answer, Err(PaymentFault::Invalid(_))),
                "{number}: {answer:?}"
            );
        }
        for code in ["", "12", "12345", "12a"] {
            assert!(matches!(
                charge(Card {
                    code: code.into(),
                    ..card()
                }),
                Err(PaymentFault::Invalid(_))
            ));
        }
        for month in [0, 13] {
            assert!(matches!(
                charge(Card {
                    expiry_month: month,
                    ..card()
                }),
                Err(PaymentFault::Invalid(_))
            ));
        }
    }

    #[test]
    fn other_brands_are_declined() {
        let answer = charge(Card {
            number: "3782 822463 10005".into(),
            ..card()
        });
        assert!(matches!(answer, Err(PaymentFault::Declined(_))));
    }

    #[test]
    fn nothing_and_less_are_not_charged() {
        for cents in [0, -100] {
            let answer = till().charge(Money::from_cents("EUR", cents), card());
            assert!(matches!(answer, Err(PaymentFault::Invalid(_))));
        }
    }
}
