//! Names of hooks that nobody can guess.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

/// 144 bits, a multiple of three bytes, so that base64 needs no padding.
const BYTES: usize = 18;

/// The secret part of a hook's URL: 24 letters, digits, `-` and `_`.
pub(crate) struct HookId(String);

impl HookId {
    /// Takes a new one from the operating system's random numbers.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares in a time that does not tell how much of `other` is right.
    pub(crate) fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
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
    fn ids_differ_and_fit_into_a_url() {
        let (a, b) = (HookId::random().unwrap(), HookId::random().unwrap());
        assert_eq!(a.as_str().len(), 24);
        assert!(a.is(a.as_str()) && !a.is(b.as_str()));
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(a.as_str().chars().all(fits));
    }

    #[test]
    fn debug_shows_too_little_to_use_the_hook() {
        let id = HookId::random().unwrap();
        assert_eq!(format!("{id:?}").chars().count(), 5);
    }
}
