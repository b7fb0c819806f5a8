//! The serde forms of amounts, thresholds and durations.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::amount::Amount;
use crate::threshold::Threshold;

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

/// A duration such as `90 s`, `5 min`, `12 h` or `7 d`. A plain number is in seconds.
pub(crate) mod duration {
    use super::{Deserializer, Duration, DurationText, Serializer};
    use serde::{Deserialize as _, Serialize as _};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.as_secs().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        DurationText::deserialize(deserializer).map(|text| text.0)
    }
}

/// An optional duration, in the form of [`duration`].
pub(crate) mod optional_duration {
    use super::{Deserializer, Duration, DurationText, Serializer};
    use serde::{Deserialize as _, Serialize as _};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(|it| it.as_secs()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<DurationText>::deserialize(deserializer).map(|text| text.map(|text| text.0))
    }
}

struct DurationText(Duration);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = DurationText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as `90 s`, `5 min`, `12 h` or `7 d`")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<DurationText, E> {
        Ok(DurationText(Duration::from_secs(seconds)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<DurationText, E> {
        let invalid = || E::invalid_value(de::Unexpected::Str(text), &self);
        parse_duration(text.trim())
            .map(DurationText)
            .ok_or_else(invalid)
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let seconds = match unit.trim_start() {
        "s" => 1,
        "min" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}
