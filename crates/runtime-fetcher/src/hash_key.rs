//! Keys under which caches keep what was fetched.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hash::hex;

/// A key for caches; equal only if the bytes and the checks on them are the same.
///
/// The text is a kind and a SHA-256 of the parts, so that a key may be logged and stored even when
/// the reference holds a URL with a token in it.
///
/// ```
/// # use runtime_fetcher::HashKey;
/// let key = HashKey::new("mirror", ["https://example.com/a", "v1"]);
/// assert!(key.as_str().starts_with("mirror:"));
/// assert_ne!(key, HashKey::new("mirror", ["https://example.com/av", "1"]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HashKey(String);

impl HashKey {
    /// Makes a key of a kind and the parts that tell one reference of that kind from another.
    pub fn new<S: AsRef<str>>(kind: &str, parts: impl IntoIterator<Item = S>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // The length in front keeps `ab` + `c` and `a` + `bc` apart.
            hash.update((part.as_ref().len() as u64).to_be_bytes());
            hash.update(part.as_ref());
        }
        Self(format!("{kind}:{}", hex(&hash.finalize())))
    }

    /// Makes a key of the bytes themselves.
    pub(crate) fn of_bytes(kind: &str, bytes: &[u8]) -> Self {
        Self(format!("{kind}:{}", hex(&Sha256::digest(bytes))))
    }

    /// The key as text: letters, digits, dashes and one colon.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
