//! Finds the line of a key in the text of a configuration.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::format::Format;
use crate::problem::unescape;

/// Returns the line, counted from 1, of the key or list element with this JSON pointer.
///
/// A parse that fails at that key: the parsers of all formats report the place of an error, unlike that of a value.
pub(super) fn line_of(text: &str, format: Format, pointer: &str) -> Option<usize> {
    let keys: Vec<_> = pointer.split('/').skip(1).map(unescape).collect();
    if keys.is_empty() {
        return None;
    }
    let target = KeyPathSeed(&keys);
    match format {
        Format::Yaml => {
            let yaml = serde_yaml_ng::Deserializer::from_str(text);
            let found = target.deserialize(yaml).err()?;
            Some(found.location()?.line())
        }
        Format::Json => {
            let mut json = serde_json::Deserializer::from_str(text);
            Some(target.deserialize(&mut json).err()?.line())
        }
        Format::Toml => {
            let toml = toml::Deserializer::parse(text).ok()?;
            let start = target.deserialize(toml).err()?.span()?.start;
            Some(1 + text.get(..start)?.matches('\n').count())
        }
    }
}

/// Fails at the key or list element with this path, below the deserialized value.
#[derive(Clone, Copy)]
struct KeyPathSeed<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for KeyPathSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl KeyPathSeed<'_> {
    /// Fails for the target itself. A scalar above it, in a text that a parser reads in two ways, has no such key.
    fn scalar<E: Error>(self) -> Result<(), E> {
        if self.0.is_empty() {
            Err(E::custom("found"))
        } else {
            Ok(())
        }
    }
}

impl<'de> Visitor<'de> for KeyPathSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let [key, rest @ ..] = self.0 else {
            return self.scalar();
        };
        let seed = KeySeed {
            key,
            is_target: rest.is_empty(),
        };
        while let Some(is_found) = map.next_key_seed(seed)? {
            if is_found {
                map.next_value_seed(KeyPathSeed(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let [index, rest @ ..] = self.0 else {
            return self.scalar();
        };
        let index: Option<usize> = index.parse().ok();
        for position in 0.. {
            let is_next = if index == Some(position) {
                list.next_element_seed(KeyPathSeed(rest))?.is_some()
            } else {
                list.next_element::<IgnoredAny>()?.is_some()
            };
            if !is_next {
                break;
            }
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }
}

/// Compares a key, and fails if it is the target.
#[derive(Clone, Copy)]
struct KeySeed<'a> {
    key: &'a str,
    is_target: bool,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match key == self.key {
            true if self.is_target => Err(E::custom("found")),
            is_found => Ok(is_found),
        }
    }
}
