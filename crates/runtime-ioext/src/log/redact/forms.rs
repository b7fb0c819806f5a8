//! The forms in which a part of a secret is searched: plain and in base64.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A form, from 0 to 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form(u8);

impl Form {
    pub(super) const MIN: Self = Self(0);
    pub(super) const MAX: Self = Self(6);

    /// Returns all forms that differ for `part`, each with its text.
    pub(super) fn all_of(part: &[u8]) -> impl Iterator<Item = (Self, Cow<'_, [u8]>)> {
        let text = move |form: Self| (form, form.text(part));
        let base64 = (1..=3).flat_map(move |form| {
            let (form, text) = text(Self(form));
            let url = Self(form.0 + 3).text(part);
            // The alphabets differ in two characters, which few texts contain.
            let url = (url != text).then_some((Self(form.0 + 3), url));
            [Some((form, text)), url]
        });
        std::iter::once(Some(text(Self::MIN)))
            .chain(base64)
            .flatten()
    }

    /// Returns the text of `part` in this form.
    ///
    /// Computed whenever it is compared, which is rare, because storing all forms would take eight times the
    /// memory of the secret.
    pub(super) fn text(self, part: &[u8]) -> Cow<'_, [u8]> {
        match self.0 {
            0 => Cow::Borrowed(part),
            shift @ 1..=3 => Cow::Owned(base64(&STANDARD_NO_PAD, part, usize::from(shift - 1))),
            shift => Cow::Owned(base64(&URL_SAFE_NO_PAD, part, usize::from(shift - 4))),
        }
    }
}

/// Returns the base64 characters that `part` alone determines if it starts at `shift` within a group of three
/// bytes.
///
/// Three bytes become four characters, so the encoding of a secret within a longer text depends on its
/// position modulo three. The characters at both ends also depend on adjacent bytes and are left out.
fn base64(engine: &impl Engine, part: &[u8], shift: usize) -> Vec<u8> {
    let shifted = [&[0; 2][..shift], part].concat();
    // A character encodes 6 bits. The characters outside this range also contain bits of adjacent bytes.
    let whole = (shift * 8).div_ceil(6)..shifted.len() * 8 / 6;
    let text = engine.encode(&shifted);
    text.as_bytes().get(whole).unwrap_or_default().to_vec()
}
