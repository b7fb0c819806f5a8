//! Hash values in references, and the set of hashes that the bytes must have.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Algorithm {
    /// MD5, which detects accidental corruption only.
    Md5,
    /// SHA-1, which detects accidental corruption only.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Returns the name, which is also the key in a reference.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns whether the function resists collisions.
    #[must_use]
    pub fn is_strong(self) -> bool {
        matches!(self, Self::Sha256 | Self::Sha512)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A hash of `N` bytes in hexadecimal digits of either case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HexDigest<const N: usize>(String);

impl<const N: usize> HexDigest<N> {
    /// Returns the digits in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> TryFrom<String> for HexDigest<N> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = 2 * N;
        if text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(format!(
            "`{text}` is not a hash of {digits} hexadecimal digits"
        ))
    }
}

impl<const N: usize> JsonSchema for HexDigest<N> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("HexDigest{N}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^[0-9a-fA-F]{{{}}}$", 2 * N) })
    }
}

/// An error for bytes that have another hash than required.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{algorithm} is {actual}{}, expected {expected}", after_decoding(.decoded.as_deref()))]
#[non_exhaustive]
pub struct HashMismatch {
    /// The hash function.
    pub algorithm: Algorithm,
    /// The required hash.
    pub expected: String,
    /// The hash of the bytes.
    pub actual: String,
    /// The content encoding that the server applied to the bytes, if it was decoded before they were hashed.
    pub decoded: Option<&'static str>,
}

fn after_decoding(encoding: Option<&str>) -> String {
    encoding.map_or_else(String::new, |encoding| {
        format!(" after decoding the content encoding `{encoding}`")
    })
}

/// The hashes that the bytes of a reference must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashes {
    expected: BTreeMap<Algorithm, String>,
}

impl Hashes {
    /// Requires no hash.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Requires an MD5 hash, if given.
    #[must_use]
    pub fn md5(self, digest: Option<HexDigest<16>>) -> Self {
        self.with(Algorithm::Md5, digest)
    }

    /// Requires a SHA-1 hash, if given.
    #[must_use]
    pub fn sha1(self, digest: Option<HexDigest<20>>) -> Self {
        self.with(Algorithm::Sha1, digest)
    }

    /// Requires a SHA-256 hash, if given.
    #[must_use]
    pub fn sha256(self, digest: Option<HexDigest<32>>) -> Self {
        self.with(Algorithm::Sha256, digest)
    }

    /// Requires a SHA-512 hash, if given.
    #[must_use]
    pub fn sha512(self, digest: Option<HexDigest<64>>) -> Self {
        self.with(Algorithm::Sha512, digest)
    }

    /// Joins two sets of required hashes.
    ///
    /// # Errors
    ///
    /// A [`HashMismatch`] if they require different values of one function.
    pub fn merge(mut self, other: Self) -> Result<Self, HashMismatch> {
        // Contradictory hashes are detected before the download, which could not satisfy both.
        for (algorithm, actual) in other.expected {
            match self.expected.insert(algorithm, actual.clone()) {
                Some(expected) if expected != actual => {
                    return Err(HashMismatch {
                        algorithm,
                        expected,
                        actual,
                        decoded: None,
                    });
                }
                _ => {}
            }
        }
        Ok(self)
    }

    /// Returns whether no hash is required.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expected.is_empty()
    }

    /// Returns whether one of the hashes [resists collisions](Algorithm::is_strong).
    #[must_use]
    pub fn has_strong(&self) -> bool {
        self.expected.keys().any(|algorithm| algorithm.is_strong())
    }

    /// Returns the required hashes in lower-case digits.
    pub fn iter(&self) -> impl Iterator<Item = (Algorithm, &str)> {
        self.expected
            .iter()
            .map(|(name, digits)| (*name, digits.as_str()))
    }

    /// Returns the required hash of one function.
    #[must_use]
    pub fn get(&self, algorithm: Algorithm) -> Option<&str> {
        self.expected.get(&algorithm).map(String::as_str)
    }

    /// Returns the hashes as parts of a [`HashKey`](crate::HashKey).
    pub(crate) fn key_parts(&self) -> impl Iterator<Item = String> {
        self.iter()
            .map(|(algorithm, digits)| format!("{algorithm}={digits}"))
    }

    fn with<const N: usize>(mut self, algorithm: Algorithm, digest: Option<HexDigest<N>>) -> Self {
        if let Some(digest) = digest {
            self.expected.insert(algorithm, digest.0);
        }
        self
    }
}
