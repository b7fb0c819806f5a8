//! The serde forms of amounts, thresholds, durations and sizes.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::amount::Amount;
use crate::threshold::Threshold;
use crate::units::{ByteSize, DurationText};

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absolute(amount) => serializer.serialize_u64(*amount),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a size such as `20 GiB`, or a percentage such as `15%`")
    }

    fn visit_u64<E: de::Error>(self, amount: u64) -> Result<Amount, E> {
        Ok(Amount::Absolute(amount))
    }

    fn visit_i64<E: de::Error>(self, amount: i64) -> Result<Amount, E> {
        // Some formats pass all integers as signed.
        let invalid = |_| E::invalid_value(de::Unexpected::Signed(amount), &self);
        u64::try_from(amount).map(Amount::Absolute).map_err(invalid)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
        text.parse().map_err(E::custom)
    }
}

/// The long form of a threshold. The short form is the trigger alone.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TriggerAndTarget<T> {
    trigger: T,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    target: Option<T>,
}

impl<T: Copy + Serialize> Serialize for Threshold<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { trigger, target } = *self;
        match target {
            None => trigger.serialize(serializer),
            Some(_) => TriggerAndTarget { trigger, target }.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Threshold<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ThresholdVisitor(PhantomData))
    }
}

struct ThresholdVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ThresholdVisitor<T> {
    type Value = Threshold<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a trigger, or `{\"trigger\": .., \"target\": ..}`")
    }

    fn visit_u64<E: de::Error>(self, trigger: u64) -> Result<Threshold<T>, E> {
        T::deserialize(trigger.into_deserializer()).map(Threshold::at)
    }

    fn visit_i64<E: de::Error>(self, trigger: i64) -> Result<Threshold<T>, E> {
        T::deserialize(trigger.into_deserializer()).map(Threshold::at)
    }

    fn visit_str<E: de::Error>(self, trigger: &str) -> Result<Threshold<T>, E> {
        T::deserialize(trigger.into_deserializer()).map(Threshold::at)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Threshold<T>, A::Error> {
        let TriggerAndTarget { trigger, target } =
            TriggerAndTarget::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Threshold { trigger, target })
    }
}

/// The serde form of optional thresholds of sizes: an amount of bytes needs a unit, unlike one of inodes.
pub(crate) mod size_threshold {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::{Amount, SizeAmount, Threshold};

    pub(crate) fn serialize<S: Serializer>(
        threshold: &Option<Threshold<Amount>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let threshold = threshold.map(|it| it.map(SizeAmount));
        threshold.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Threshold<Amount>>, D::Error> {
        let threshold = Option::<Threshold<SizeAmount>>::deserialize(deserializer)?;
        Ok(threshold.map(|it| it.map(|amount| amount.0)))
    }
}

/// An amount of bytes, whose absolute form has a unit.
#[derive(Clone, Copy)]
pub(crate) struct SizeAmount(Amount);

impl Serialize for SizeAmount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Amount::Absolute(bytes) => serializer.collect_str(&ByteSize(bytes).to_exact_text()),
            Amount::Percent(_) => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for SizeAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SizeAmountVisitor)
    }
}

struct SizeAmountVisitor;

impl Visitor<'_> for SizeAmountVisitor {
    type Value = SizeAmount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as `20 GiB`, or a percentage such as `15%`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SizeAmount, E> {
        let has_unit = !text.trim_end().ends_with(|c: char| c.is_ascii_digit());
        if !has_unit {
            return Err(E::invalid_value(de::Unexpected::Str(text), &self));
        }
        text.parse().map(SizeAmount).map_err(E::custom)
    }
}

impl DurationText {
    /// Serializes a field with `#[serde(with = "DurationText")]`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<T, S>(duration: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Copy + Into<Option<Duration>>,
        S: Serializer,
    {
        match (*duration).into() {
            Some(duration) => serializer.collect_str(&Self(duration)),
            None => serializer.serialize_none(),
        }
    }

    /// Deserializes a field with `#[serde(with = "DurationText")]`.
    ///
    /// # Errors
    ///
    /// Those of the deserializer, and an error for texts without a number and a known unit.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: From<Duration>,
        D: Deserializer<'de>,
    {
        let parse = |text: &str| text.parse().map(|Self(duration)| duration.into());
        deserializer.deserialize_str(TextVisitor(parse, "a duration such as `15 min`"))
    }
}

impl ByteSize {
    /// Serializes a field with `#[serde(with = "ByteSize")]`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<T, S>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Copy + Into<Option<u64>>,
        S: Serializer,
    {
        match (*bytes).into() {
            Some(bytes) => serializer.collect_str(&Self(bytes).to_exact_text()),
            None => serializer.serialize_none(),
        }
    }

    /// Deserializes a field with `#[serde(with = "ByteSize")]`.
    ///
    /// # Errors
    ///
    /// Those of the deserializer, and an error for texts without a number and a known unit.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: From<u64>,
        D: Deserializer<'de>,
    {
        let parse = |text: &str| text.parse().map(|Self(bytes)| bytes.into());
        deserializer.deserialize_str(TextVisitor(parse, "a size such as `10 GiB`"))
    }
}

/// Parses a text, and names the expected form for values of other types.
struct TextVisitor<F>(F, &'static str);

impl<T, E: fmt::Display, F: Fn(&str) -> Result<T, E>> Visitor<'_> for TextVisitor<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<D: de::Error>(self, text: &str) -> Result<T, D> {
        (self.0)(text).map_err(D::custom)
    }
}
