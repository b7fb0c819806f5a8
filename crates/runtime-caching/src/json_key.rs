//! Cache keys from JSON values.

use std::fmt::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// A key from a JSON value, such as the reference to an input in a task's payload.
///
/// Equal values have equal keys, regardless of the order of members, white space, and the notation of numbers and
/// strings. The key holds the value as canonical text. Members are in the order of the bytes of their names, and
/// there is no white space. Whole numbers of up to 64 bits have neither fraction nor exponent, so `1.0` and
/// `10e-1` become `1`. Other numbers are rounded to the nearest `f64`, as most programs do.
///
/// ```
/// use runtime_caching::JsonKey;
///
/// let key: JsonKey = r#"{"url": "https://example.com", "sizes": [1, 2.0]}"#.parse()?;
/// assert_eq!(key, JsonKey::of(&serde_json::json!({"sizes": [1, 2], "url": "https://example.com"}))?);
/// assert_eq!(key.as_str(), r#"{"sizes":[1,2],"url":"https://example.com"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JsonKey(Arc<str>);

impl JsonKey {
    /// Creates the key of a serializable value.
    ///
    /// # Errors
    ///
    /// If the value cannot be serialized, such as a map whose keys are not strings.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        serde_json::to_value(value).map(|value| Self::from(&value))
    }

    /// Returns the canonical text of the value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Value> for JsonKey {
    fn from(value: &Value) -> Self {
        Self(Canonical(value).to_string().into())
    }
}

impl FromStr for JsonKey {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(|value: Value| Self::from(&value))
    }
}

impl TryFrom<String> for JsonKey {
    type Error = serde_json::Error;

    fn try_from(text: String) -> Result<Self, serde_json::Error> {
        text.parse()
    }
}

impl From<JsonKey> for String {
    fn from(key: JsonKey) -> Self {
        key.as_str().to_owned()
    }
}

impl fmt::Display for JsonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JsonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Formats a value as canonical text.
struct Canonical<'a>(&'a Value);

impl fmt::Display for Canonical<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null | Value::Bool(_) => self.0.fmt(f),
            Value::Number(number) => write_number(number, f),
            Value::String(text) => write_string(text, f),
            Value::Array(items) => {
                f.write_char('[')?;
                for (i, item) in items.iter().enumerate() {
                    separate(i, f)?;
                    Self(item).fmt(f)?;
                }
                f.write_char(']')
            }
            Value::Object(members) => {
                // Sorted here, since another crate may enable serde_json's feature `preserve_order`.
                let mut members: Vec<_> = members.iter().collect();
                members.sort_unstable_by_key(|(name, _)| *name);
                f.write_char('{')?;
                for (i, (name, value)) in members.into_iter().enumerate() {
                    separate(i, f)?;
                    write_string(name, f)?;
                    f.write_char(':')?;
                    Self(value).fmt(f)?;
                }
                f.write_char('}')
            }
        }
    }
}

fn separate(index: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if index > 0 {
        f.write_char(',')?;
    }
    Ok(())
}

fn write_string(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let quoted = serde_json::to_string(text).map_err(|_| fmt::Error)?;
    f.write_str(&quoted)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "only numbers that the cast preserves are written as whole numbers"
)]
fn write_number(number: &Number, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    /// The smallest numbers that overflow an `i64` and a `u64`.
    const PAST_I64: f64 = 9_223_372_036_854_775_808.0;
    const PAST_U64: f64 = 18_446_744_073_709_551_616.0;
    // Integers are kept as they are: large ones would lose digits in an `f64`.
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(float) if float.trunc() == float && (0.0..PAST_U64).contains(&float) => {
            write!(f, "{}", float as u64)
        }
        Some(float) if float.trunc() == float && (-PAST_I64..0.0).contains(&float) => {
            write!(f, "{}", float as i64)
        }
        _ => write!(f, "{number}"),
    }
}
