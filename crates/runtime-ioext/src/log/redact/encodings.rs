//! The forms in which a part of a secret is searched: plain and in base64.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::spellings::Alphabet;

/// Length of the start of a part whose base64 has at least [`MIN_HEAD`] characters.
const HEAD_SOURCE: usize = 15;
/// Minimum length of the start of a text, unless the text is shorter.
pub(super) const MIN_HEAD: usize = 16;

/// A form: plain, or base64 of the part at one of three positions within a group of three bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SecretEncoding(u8);

impl SecretEncoding {
    pub(super) const MIN: Self = Self(0);
    pub(super) const MAX: Self = Self(3);

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (Self::MIN.0..=Self::MAX.0).map(Self)
    }

    /// Returns the characters in which the form is written.
    pub(super) fn alphabet(self) -> Alphabet {
        match self.0 {
            0 => Alphabet::Any,
            _ => Alphabet::Base64,
        }
    }

    /// Returns the text of `part` in this form.
    ///
    /// Computed whenever it is compared, which is rare, because storing all forms would take five times the
    /// memory of the secret.
    pub(super) fn text(self, part: &[u8]) -> Cow<'_, [u8]> {
        match self.0 {
            0 => Cow::Borrowed(part),
            shift => Cow::Owned(base64(part, usize::from(shift - 1))),
        }
    }

    /// Returns the start of the text of `part`: at least [`MIN_HEAD`] bytes, or all.
    pub(super) fn head(self, part: &[u8]) -> Cow<'_, [u8]> {
        let source = match self.0 {
            0 => MIN_HEAD,
            _ => HEAD_SOURCE,
        };
        self.text(&part[..part.len().min(source)])
    }

    /// Returns the length of the text of a part of `len` bytes.
    pub(super) fn len(self, len: usize) -> usize {
        match self.0 {
            0 => len,
            shift => determined(usize::from(shift - 1), len).len(),
        }
    }
}

/// Returns the base64 characters that `part` alone determines if it starts at `shift` within a group of three
/// bytes.
///
/// Three bytes become four characters, so the encoding of a secret within a longer text depends on its
/// position modulo three. The characters at both ends also depend on adjacent bytes and are left out.
fn base64(part: &[u8], shift: usize) -> Vec<u8> {
    let shifted = [&[0; 2][..shift], part].concat();
    let mut text = STANDARD_NO_PAD.encode(&shifted).into_bytes();
    let determined = determined(shift, part.len());
    text.truncate(determined.end);
    text.drain(..determined.start.min(text.len()));
    text
}

/// Returns the range of the base64 characters that consist of bits of the part only. A character encodes 6
/// bits.
fn determined(shift: usize, len: usize) -> std::ops::Range<usize> {
    (shift * 8).div_ceil(6)..(shift + len) * 8 / 6
}
