//! The short byte strings at the start of all spellings of a text.

use std::collections::BTreeSet;

use super::filter::MAX_GRAM;
use super::spellings::{Alphabet, for_each_spelling};

/// Calls `each` with the offset and the bytes of every string of `len` bytes that a spelling of `text` may
/// contain at an offset of less than `offsets`. `text` is long enough for them.
///
/// The number of spellings grows exponentially with the number of characters, but each string has only a few
/// characters.
pub(super) fn for_each_gram(
    text: &[u8],
    alphabet: Alphabet,
    len: usize,
    offsets: usize,
    mut each: impl FnMut(usize, &[u8]),
) {
    // Nearly all texts: letters and digits have one spelling.
    let plain = &text[..text.len().min(offsets + len - 1)];
    if plain.iter().all(u8::is_ascii_alphanumeric) {
        let grams = plain.windows(len).enumerate();
        return grams.for_each(|(offset, gram)| each(offset, gram));
    }
    // The characters of the text with the offsets at which their spelling may start. A set, because
    // spellings of equal length lead to the same offset: its continuation is computed once.
    // Otherwise the work would grow with the power of the number of characters.
    let mut chars = BTreeSet::from([(0, 0)]);
    while let Some((at, offset)) = chars.pop_first() {
        let mut grams = BTreeSet::new();
        let rest = &text[at..];
        if rest.is_empty() {
            continue;
        }
        let mut ends = Vec::new();
        let char_len = for_each_spelling(rest, alphabet, |spelling| {
            for skipped in 0..spelling.len().min(offsets - offset) {
                let gram = Gram::new(len).followed_by(&spelling[skipped..]);
                grams.insert((offset + skipped, gram));
            }
            ends.push(offset + spelling.len());
        });
        let next = at + char_len;
        for (offset, gram) in grams {
            complete(&text[next..], alphabet, gram, &mut |gram| {
                each(offset, gram)
            });
        }
        let ends = ends.into_iter().filter(|&end| end < offsets);
        chars.extend(ends.map(|end| (next, end)));
    }
}

/// Calls `each` with every continuation of `gram` by spellings of `text`.
fn complete(text: &[u8], alphabet: Alphabet, gram: Gram, each: &mut impl FnMut(&[u8])) {
    if gram.len == gram.full {
        each(&gram.bytes[..gram.len]);
    } else if !text.is_empty() {
        let mut longer = BTreeSet::new();
        let len = for_each_spelling(text, alphabet, |spelling| {
            longer.insert(gram.followed_by(spelling));
        });
        for gram in longer {
            complete(&text[len..], alphabet, gram, each);
        }
    }
}

/// A string of at most `full` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Gram {
    bytes: [u8; MAX_GRAM],
    len: usize,
    full: usize,
}

impl Gram {
    fn new(full: usize) -> Self {
        Self {
            bytes: [0; MAX_GRAM],
            len: 0,
            full,
        }
    }

    fn followed_by(mut self, bytes: &[u8]) -> Self {
        let len = bytes.len().min(self.full - self.len);
        self.bytes[self.len..self.len + len].copy_from_slice(&bytes[..len]);
        self.len += len;
        self
    }
}
