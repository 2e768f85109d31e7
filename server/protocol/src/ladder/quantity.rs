//! Delays, shares and rates as people write them: `2ms`, `0.5%`, `100Mbit/s`. Exact, and within what makes sense.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest delay, and the longest jitter, in µs: a way around the Earth. Nodes take each other for dead after a
/// second without a sign.
const DELAY_US_MAX: u64 = 200_000;
/// The largest loss, in millionths: beyond it there is no connection worth measuring.
const LOSS_PPM_MAX: u64 = 100_000;
/// The narrowest and the widest way, in bit/s.
const BANDWIDTH: std::ops::RangeInclusive<u64> = 1_000_000..=100_000_000_000;

const DELAY_UNITS: [(&str, u64); 4] = [("ms", 1_000), ("us", 1), ("µs", 1), ("s", 1_000_000)];
const LOSS_UNITS: [(&str, u64); 1] = [("%", 10_000)];
const BANDWIDTH_UNITS: [(&str, u64); 3] = [
    ("Gbit/s", 1_000_000_000),
    ("Mbit/s", 1_000_000),
    ("kbit/s", 1_000),
];

macro_rules! quantity {
    ($(#[$doc:meta])* $type:ident, $parse:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(u64);

        impl FromStr for $type {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                $parse(text).map(Self)
            }
        }

        impl TryFrom<String> for $type {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(quantity: $type) -> Self {
                quantity.to_string()
            }
        }
    };
}

quantity!(
    /// A time of at most 200 ms, in whole µs.
    #[derive(Default)]
    Delay,
    delay
);
quantity!(
    /// A share of at most 10 %, in whole millionths.
    #[derive(Default)]
    Loss,
    loss
);
quantity!(
    /// A rate of 1 Mbit/s to 100 Gbit/s.
    Bandwidth,
    bandwidth
);

impl Delay {
    /// In µs.
    pub fn micros(self) -> u64 {
        self.0
    }
}

impl Loss {
    /// As a share of one.
    pub fn share(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Bandwidth {
    /// In bit/s.
    pub fn bits_per_s(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            us if us.is_multiple_of(1_000) => write!(f, "{}ms", us / 1_000),
            us => write!(f, "{us}us"),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        match rest {
            0 => write!(f, "{whole}%"),
            rest => write!(f, "{whole}.{}%", format!("{rest:04}").trim_end_matches('0')),
        }
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = BANDWIDTH_UNITS
            .into_iter()
            .find(|(_, size)| self.0.is_multiple_of(*size))
            .unwrap_or(("bit/s", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

fn delay(text: &str) -> Result<u64, String> {
    let us = scaled(text, &DELAY_UNITS)
        .ok_or_else(|| "not a delay; write a number and its unit, as `2ms` or `500us`".to_owned())?;
    match us {
        0..=DELAY_US_MAX => Ok(us),
        _ => Err("out of range; write 0ms to 200ms".to_owned()),
    }
}

fn loss(text: &str) -> Result<u64, String> {
    let ppm = scaled(text, &LOSS_UNITS)
        .ok_or_else(|| "not a loss; write a share in percent, as `1%` or `0.5%`".to_owned())?;
    match ppm {
        0..=LOSS_PPM_MAX => Ok(ppm),
        _ => Err("out of range; write 0% to 10%".to_owned()),
    }
}

fn bandwidth(text: &str) -> Result<u64, String> {
    let bits = scaled(text, &BANDWIDTH_UNITS).ok_or_else(|| {
        "not a bandwidth; write a number and its unit, as `100Mbit/s` or `1Gbit/s`".to_owned()
    })?;
    if BANDWIDTH.contains(&bits) {
        Ok(bits)
    } else {
        Err("out of range; write 1Mbit/s to 100Gbit/s".to_owned())
    }
}

/// A decimal number with one of these units, in the smallest unit; nothing where that is no whole number.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| text.strip_suffix(name).map(|number| (number, *unit)))?;
    let number = number.trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let scale = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = fraction.parse::<u64>().ok()?.checked_mul(unit)?;
    if !part.is_multiple_of(scale) {
        return None;
    }
    whole.checked_add(part / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_exact_and_print_as_they_parse() {
        for (text, us) in [
            ("2ms", 2_000),
            ("300us", 300),
            ("1.5ms", 1_500),
            ("0.2s", 200_000),
            ("0ms", 0),
        ] {
            assert_eq!(text.parse::<Delay>().unwrap().micros(), us, "{text}");
        }
        for text in ["2ms", "1500us", "0ms"] {
            assert_eq!(text.parse::<Delay>().unwrap().to_string(), text);
        }
        for text in ["1%", "0.5%", "0.0001%", "10%"] {
            assert_eq!(text.parse::<Loss>().unwrap().to_string(), text);
        }
        for text in ["100Mbit/s", "1Gbit/s", "1500kbit/s"] {
            assert_eq!(text.parse::<Bandwidth>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_quantity_or_too_much_is_refused_in_words() {
        for text in ["2", "ms", "2 h", "-2ms", "1.5us", "99999999999999999999s", "1.ms"] {
            assert!(
                text.parse::<Delay>().unwrap_err().starts_with("not a delay"),
                "{text}"
            );
        }
        assert_eq!(
            "201ms".parse::<Delay>().unwrap_err(),
            "out of range; write 0ms to 200ms"
        );
        assert_eq!(
            "11%".parse::<Loss>().unwrap_err(),
            "out of range; write 0% to 10%"
        );
        assert!("0.00001%".parse::<Loss>().is_err());
        assert_eq!(
            "1kbit/s".parse::<Bandwidth>().unwrap_err(),
            "out of range; write 1Mbit/s to 100Gbit/s"
        );
        assert!(
            "100"
                .parse::<Bandwidth>()
                .unwrap_err()
                .starts_with("not a bandwidth")
        );
    }
}
