//! Durations and sizes with their units: `15 min`, `10 GiB`.
//!
//! All configurations and messages of a worker use these two types; `runtime_core::util` re-exports them. They are in
//! this crate because it uses them and depends on no other crate of the workspace.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The units of a duration with their names, smallest first. The first name is the one that is written.
const DURATION_UNITS: [(u64, &[&str]); 5] = [
    (1, &["ms"]),
    (1000, &["s", "sec", "second", "seconds"]),
    (60_000, &["min", "minute", "minutes"]),
    (3_600_000, &["h", "hour", "hours"]),
    (86_400_000, &["days", "d", "day"]),
];

/// The binary units of a size, smallest first.
const BINARY_UNITS: [(u64, &str); 5] = [
    (1, "B"),
    (1 << 10, "KiB"),
    (1 << 20, "MiB"),
    (1 << 30, "GiB"),
    (1 << 40, "TiB"),
];

/// The decimal units of a size, which are read and not written.
const DECIMAL_UNITS: [(u64, &str); 5] = [
    (1000, "kB"),
    (1000, "KB"),
    (1_000_000, "MB"),
    (1_000_000_000, "GB"),
    (1_000_000_000_000, "TB"),
];

/// A duration as an integer with a unit, such as `15 min`: `ms`, `s`, `min`, `h` or `days`, or one of their longer names.
///
/// With the feature `serde`, `#[serde(with = "DurationText")]` reads and writes fields of the types [`Duration`] and
/// `Option<Duration>`. A number without a unit is refused. With the feature `schema`, the attribute also sets the JSON
/// schema of the field.
///
/// Displayed in the largest unit that is exact, and rounded up to milliseconds.
///
/// ```
/// use std::time::Duration;
/// use runtime_gc::DurationText;
///
/// assert_eq!("15 minutes".parse(), Ok(DurationText(Duration::from_secs(900))));
/// assert_eq!(DurationText(Duration::from_secs(900)).to_string(), "15 min");
/// assert!("900".parse::<DurationText>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText(pub Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_nanos().div_ceil(1_000_000);
        let mut units = DURATION_UNITS.iter().rev();
        let unit = units.find(|(factor, _)| millis.is_multiple_of(u128::from(*factor)));
        let (factor, name) = match (millis, unit) {
            // Zero is a multiple of all units.
            (0, _) | (_, None) => (1000, "s"),
            (86_400_000, _) => (86_400_000, "day"),
            (_, Some((factor, names))) => (*factor, names[0]),
        };
        f.pad(&format!("{} {name}", millis / u128::from(factor)))
    }
}

/// The error of parsing a [`DurationText`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid duration `{text}`: expected a number with a unit, such as `90 s`, `15 min`, `12 h` or `7 days`"
)]
#[non_exhaustive]
pub struct ParseDurationError {
    /// The invalid text.
    pub text: String,
}

impl FromStr for DurationText {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, ParseDurationError> {
        let parsed = split(text).and_then(|(number, unit)| {
            let mut units = DURATION_UNITS.iter();
            let (factor, _) = units.find(|(_, names)| names.contains(&unit))?;
            Some(Duration::from_millis(number.saturating_mul(*factor)))
        });
        parsed.map(Self).ok_or_else(|| ParseDurationError {
            text: text.to_owned(),
        })
    }
}

/// A number of bytes.
///
/// Displayed in the largest unit that fits and rounded, such as `1.5 GiB`. Read as an integer with a unit: `B`, `KiB`,
/// `MiB`, `GiB`, `TiB`, `kB`, `MB`, `GB` or `TB`.
///
/// With the feature `serde`, `#[serde(with = "ByteSize")]` reads and writes fields of the types `u64` and `Option<u64>`
/// without rounding. A number without a unit is refused. With the feature `schema`, the attribute also sets the JSON
/// schema of the field.
///
/// ```
/// use runtime_gc::ByteSize;
///
/// assert_eq!(ByteSize(1536).to_string(), "1.5 KiB");
/// assert_eq!(ByteSize(250 << 20).to_string(), "250 MiB");
/// assert_eq!("250 MiB".parse(), Ok(ByteSize(250 << 20)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Returns the size in the largest unit that is exact, such as `1536 MiB`.
    #[must_use]
    pub fn to_exact_text(self) -> String {
        let mut units = BINARY_UNITS.iter().rev();
        let unit = units.find(|(factor, _)| self.0 != 0 && self.0.is_multiple_of(*factor));
        let (factor, name) = unit.unwrap_or(&BINARY_UNITS[0]);
        format!("{} {name}", self.0 / factor)
    }
}

impl fmt::Display for ByteSize {
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most three digits are displayed"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut units = BINARY_UNITS.iter().rev();
        let fitting = units.find(|(factor, _)| self.0 >= *factor);
        let (factor, name) = fitting.unwrap_or(&BINARY_UNITS[0]);
        let value = self.0 as f64 / *factor as f64;
        let digits = usize::from(*factor > 1 && value < 100.0);
        f.pad(&format!("{value:.digits$} {name}"))
    }
}

/// The error of parsing a [`ByteSize`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid size `{text}`: expected a number with a unit, such as `100 MiB` or `10 GiB`")]
#[non_exhaustive]
pub struct ParseSizeError {
    /// The invalid text.
    pub text: String,
}

impl FromStr for ByteSize {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        let parsed =
            split(text).and_then(|(number, unit)| Some(number.saturating_mul(size_factor(unit)?)));
        parsed.map(Self).ok_or_else(|| ParseSizeError {
            text: text.to_owned(),
        })
    }
}

/// Returns the number of bytes of a unit.
pub(crate) fn size_factor(unit: &str) -> Option<u64> {
    let mut units = BINARY_UNITS.iter().chain(&DECIMAL_UNITS);
    let (factor, _) = units.find(|(_, name)| *name == unit)?;
    Some(*factor)
}

/// Splits a number with a unit. A number that is too large for its type becomes the largest one.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    // Without digits there is no number; with digits only, parsing fails just for numbers that are too large.
    (digits > 0).then(|| (number.parse().unwrap_or(u64::MAX), unit.trim_start()))
}

/// Returns the regular expression of the texts that a type reads.
#[cfg(feature = "schema")]
pub(crate) fn pattern<'a>(units: impl Iterator<Item = &'a str>) -> String {
    let units: Vec<_> = units.collect();
    format!("^ *[0-9]+ *({}) *$", units.join("|"))
}

#[cfg(feature = "schema")]
pub(crate) fn duration_units() -> impl Iterator<Item = &'static str> {
    DURATION_UNITS
        .iter()
        .flat_map(|(_, names)| names.iter().copied())
}

#[cfg(feature = "schema")]
pub(crate) fn size_units() -> impl Iterator<Item = &'static str> {
    let units = BINARY_UNITS.iter().chain(&DECIMAL_UNITS);
    units.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_unit_that_fits_is_used() {
        let check = |bytes, text: &str| assert_eq!(ByteSize(bytes).to_string(), text);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1536, "1.5 KiB");
        check(250 << 20, "250 MiB");
        check(20 << 30, "20.0 GiB");
        check(1 << 53, "8192 TiB");
    }
}
