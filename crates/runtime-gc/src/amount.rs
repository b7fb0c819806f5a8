//! Amounts in configuration files and messages: `20 GiB` or `15%`.

use std::fmt;
use std::str::FromStr;

use crate::units::size_factor;

/// An absolute amount of bytes or inodes, or a percentage of the total.
///
/// ```
/// use runtime_gc::Amount;
///
/// assert_eq!("20 GiB".parse(), Ok(Amount::Absolute(20 << 30)));
/// assert_eq!("12.5%".parse(), Ok(Amount::Percent(12.5)));
/// assert_eq!(Amount::Percent(10.0).of(500), 50);
/// assert!("20 apples".parse::<Amount>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// Bytes or inodes.
    Absolute(u64),
    /// A percentage of the total.
    Percent(f64),
}

impl Amount {
    /// Returns the absolute amount for this total. A percentage is at most the total.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a disk need not be exact to the byte, and the cast saturates"
    )]
    pub fn of(self, total: u64) -> u64 {
        match self {
            Self::Absolute(amount) => amount,
            // At most the total: rounding in `f64` may exceed it for large disks.
            Self::Percent(percent) => ((total as f64 * percent / 100.0) as u64).min(total),
        }
    }

    /// Returns whether the amount is zero, which stands for "no limit".
    #[must_use]
    pub fn is_zero(self) -> bool {
        match self {
            Self::Absolute(amount) => amount == 0,
            Self::Percent(percent) => percent <= 0.0,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(amount) => amount.fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// The error of parsing an [`Amount`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid amount `{text}`: expected a number, a size such as `20 GiB` or `500 MB`, or a percentage such as `15%`"
)]
#[non_exhaustive]
pub struct ParseAmountError {
    /// The invalid text.
    pub text: String,
}

impl FromStr for Amount {
    type Err = ParseAmountError;

    fn from_str(text: &str) -> Result<Self, ParseAmountError> {
        parse(text.trim()).ok_or_else(|| ParseAmountError {
            text: text.to_owned(),
        })
    }
}

fn parse(text: &str) -> Option<Amount> {
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.trim_end().parse().ok()?;
        return (0.0..=100.0)
            .contains(&percent)
            .then_some(Amount::Percent(percent));
    }
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let factor = match unit.trim_start() {
        "" => 1,
        unit => size_factor(unit)?,
    };
    number.checked_mul(factor).map(Amount::Absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_amounts_are_rejected() {
        for text in [
            "",
            "GiB",
            "-1",
            "101%",
            "x%",
            "1 XB",
            "99999999999 TiB",
            "1.5 GiB",
        ] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }
}
