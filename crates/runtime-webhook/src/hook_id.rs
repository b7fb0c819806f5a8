//! Unguessable ids of hooks.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

/// 144 bits; a multiple of three bytes, so that base64 needs no padding.
const ID_BYTES: usize = 18;

/// The length of an id in base64.
const ID_LEN: usize = ID_BYTES / 3 * 4;

/// The secret part of a hook's URL: 24 letters, digits, `-` and `_`.
pub(crate) struct HookId(String);

impl HookId {
    /// Creates an id from the random numbers of the operating system.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; ID_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares in constant time, so that the duration does not reveal a matching prefix.
    pub(crate) fn matches(&self, other: &str) -> bool {
        match (words(&self.0), words(other)) {
            (Some(words), Some(other)) => words.ct_eq(&other).into(),
            _ => false,
        }
    }
}

/// Returns the bytes of an id as words, which are compared in a fraction of the time, or `None` if the length differs.
fn words(id: &str) -> Option<[u64; ID_LEN / 8]> {
    let bytes: &[u8; ID_LEN] = id.as_bytes().try_into().ok()?;
    let (words, _) = bytes.as_chunks();
    Some([words[0], words[1], words[2]].map(u64::from_ne_bytes))
}

impl fmt::Debug for HookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", &self.0[..4])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_url_safe() {
        let (a, b) = (HookId::random().unwrap(), HookId::random().unwrap());
        assert_eq!(a.as_str().len(), 24);
        assert!(a.matches(a.as_str()) && !a.matches(b.as_str()));
        for i in 0..ID_LEN {
            let mut other = a.as_str().to_owned();
            other.replace_range(i..=i, if &other[i..=i] == "x" { "y" } else { "x" });
            assert!(!a.matches(&other) && !a.matches(&a.as_str()[..i]));
        }
        let is_url_safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(a.as_str().chars().all(is_url_safe));
    }

    #[test]
    fn debug_shows_only_a_prefix() {
        let id = HookId::random().unwrap();
        assert_eq!(format!("{id:?}").chars().count(), 5);
    }
}
