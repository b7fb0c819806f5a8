//! Comparison of output with one text of a secret, in all of its spellings.

use super::spellings::{Alphabet, for_each_spelling};

/// Maximum number of positions in the output that are followed at once. Several are possible where a
/// spelling is the start of another, such as `\` and `\\`.
const MAX_ENDS: usize = 8;

/// The result of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// The length of the longest match at the start of the output; 0 if there is none.
    pub(super) matched: usize,
    /// Whether all of the output may be the start of a match.
    pub(super) is_partial: bool,
}

/// Compares the start of `output` with `text`.
pub(super) fn compare(text: &[u8], alphabet: Alphabet, output: &[u8]) -> Comparison {
    let (mut at, mut ends, mut is_partial) = (0, Ends::of(0), false);
    while at < text.len() {
        // Without this fast path, each letter would look up its spellings and build a new set of
        // positions.
        let plain = ends.advance_plain(&text[at..], output);
        at += plain;
        if at == text.len() {
            break;
        }
        let mut next = Ends::default();
        at += for_each_spelling(&text[at..], alphabet, |spelling| {
            for &end in ends.as_slice() {
                let rest = &output[end..];
                if rest.starts_with(spelling) {
                    next.add(end + spelling.len());
                }
                // Not `else`: output that ends with this spelling may become a longer one.
                is_partial |= spelling.starts_with(rest);
            }
        });
        ends = next;
        if ends.as_slice().is_empty() {
            break;
        }
    }
    Comparison {
        matched: ends.as_slice().iter().copied().max().unwrap_or(0),
        is_partial,
    }
}

/// The positions in the output after the characters compared so far.
#[derive(Default)]
struct Ends {
    ends: [usize; MAX_ENDS],
    len: usize,
}

impl Ends {
    fn of(end: usize) -> Self {
        let mut ends = Self::default();
        ends.add(end);
        ends
    }

    fn as_slice(&self) -> &[usize] {
        &self.ends[..self.len]
    }

    /// Adds a position, unless there are too many. The first ones, of the shortest spellings, are kept.
    fn add(&mut self, end: usize) {
        if self.len < MAX_ENDS && !self.as_slice().contains(&end) {
            self.ends[self.len] = end;
            self.len += 1;
        }
    }

    /// Skips the letters and digits that `text` and the output have in common, and returns their number. They
    /// have one spelling each, and are nearly all of most secrets.
    fn advance_plain(&mut self, text: &[u8], output: &[u8]) -> usize {
        // Several positions may match different numbers of characters. The slow path merges or
        // drops them within a few characters.
        let [end] = &mut self.ends[..self.len] else {
            return 0;
        };
        let common = text
            .iter()
            .zip(&output[*end..])
            .take_while(|(byte, other)| byte == other && byte.is_ascii_alphanumeric())
            .count();
        *end += common;
        common
    }
}
