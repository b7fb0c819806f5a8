//! Limits as people write them: "20 GiB" or "15%".

use std::fmt;
use std::str::FromStr;

/// So many bytes (or inodes), or a share of all there are.
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
    /// Exactly so many.
    Absolute(u64),
    /// So many of a hundred.
    Percent(f64),
}

impl Amount {
    /// What it comes to when there are `total` in all; a share is never more than that.
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
            Self::Percent(percent) => ((total as f64 * percent / 100.0) as u64).min(total),
        }
    }

    /// Whether it is nothing, which stands for "no limit".
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

/// A text is not an [`Amount`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an amount; write a number, a size such as `20 GiB` or `500 MB`, or a share such as `15%`"
)]
#[non_exhaustive]
pub struct ParseAmountError {
    /// The text.
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
    number
        .checked_mul(factor(unit.trim_start())?)
        .map(Amount::Absolute)
}

fn factor(unit: &str) -> Option<u64> {
    Some(match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    })
}

/// Bytes for people: `1.5 GiB`.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    #[expect(clippy::cast_precision_loss, reason = "people read two digits of it")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let digits = usize::from(unit > 0 && value < 100.0);
        f.pad(&format!("{value:.digits$} {}", UNITS[unit]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_printed_in_the_unit_that_fits() {
        let check = |bytes, text: &str| assert_eq!(Bytes(bytes).to_string(), text);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1536, "1.5 KiB");
        check(250 << 20, "250 MiB");
        check(20 << 30, "20.0 GiB");
    }

    #[test]
    fn what_is_no_amount_is_refused() {
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
