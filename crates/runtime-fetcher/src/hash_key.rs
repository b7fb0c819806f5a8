//! Keys under which caches store fetched references.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use runtime_core::util::hex;

/// A cache key that is equal only for references with the same bytes and the same required hashes.
///
/// The text is a kind and a SHA-256 of the parts. Hashing keeps the tokens in a URL out of logs and of the index
/// on disk.
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
    /// Creates a key from a kind and the parts that distinguish references of this kind.
    pub fn new<S: AsRef<str>>(kind: &str, parts: impl IntoIterator<Item = S>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // The length prefix distinguishes `ab` + `c` from `a` + `bc`.
            hash.update((part.as_ref().len() as u64).to_be_bytes());
            hash.update(part.as_ref());
        }
        Self(format!("{kind}:{}", hex(&hash.finalize())))
    }

    /// Creates a key from the bytes of an inline reference.
    pub(crate) fn of_bytes(kind: &str, bytes: &[u8]) -> Self {
        Self(format!("{kind}:{}", hex(&Sha256::digest(bytes))))
    }

    /// Returns the key with a namespace, which differs from the keys of all other namespaces, and from keys without one.
    pub(crate) fn within(&self, namespace: &str) -> Self {
        // Hashed instead of joined: no separator is forbidden in namespaces and kinds.
        Self::new(namespace, [&self.0])
    }

    /// Returns the key as text: the kind, a colon, and 64 hexadecimal digits.
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
