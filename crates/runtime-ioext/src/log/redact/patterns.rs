//! The index of all parts of all secrets, and the search for them in output.
//!
//! A filter finds the few positions of the output where a secret may start. There, the output is compared
//! with the parts that start with the same bytes, in all spellings. There is no automaton of all forms. It
//! would find them in one pass, but takes long to build, and has to be built again for each new secret. It
//! also needs a hundred times the memory of the secrets.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::compare::{Comparison, compare};
use super::encodings::SecretEncoding;
use super::filter::{Found, GramFilter, MAX_GRAM, MAX_STRIDE};
use super::parts::MAX_PART;
use super::prefixes::for_each_gram;

/// The searched parts of secrets.
pub(super) struct Patterns {
    min_len: usize,
    gram_len: usize,
    /// Output is compared with the filter at every position that is a multiple of this.
    stride: usize,
    parts: Vec<Arc<[u8]>>,
    known: HashSet<Arc<[u8]>>,
    starts: BTreeSet<Start>,
    first_bytes: FirstBytes,
    filter: GramFilter,
}

/// The first bytes of one spelling of a part. The order by bytes comes first, for searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Start {
    gram: u32,
    part: u32,
    form: SecretEncoding,
}

impl Patterns {
    /// Creates an empty index. Parts and forms of less than `min_len` bytes are not added to it.
    pub(super) fn new(min_len: usize) -> Self {
        // Pieces of long secrets are searched even if the minimum is larger than a piece.
        let min_len = min_len.min(MAX_PART / 2);
        let gram_len = min_len.min(MAX_GRAM);
        Self {
            min_len,
            gram_len,
            stride: MAX_STRIDE,
            parts: Vec::new(),
            known: HashSet::new(),
            starts: BTreeSet::new(),
            first_bytes: FirstBytes::default(),
            filter: GramFilter::new(gram_len),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Adds a part of a secret, in all forms.
    pub(super) fn add(&mut self, part: &[u8]) {
        if self.known.contains(part) {
            return;
        }
        let index = u32::try_from(self.parts.len()).expect("fewer than 2^32 parts fit in memory");
        for form in SecretEncoding::all() {
            let len = form.len(part.len());
            if len >= self.min_len {
                // The strings of the filter at larger offsets stay, and cost some comparisons.
                self.stride = self.stride.min(len + 1 - self.gram_len);
                self.add_starts(part, index, form);
            }
        }
        let part: Arc<[u8]> = part.into();
        self.known.insert(Arc::clone(&part));
        self.parts.push(part);
    }

    fn add_starts(&mut self, part: &[u8], index: u32, form: SecretEncoding) {
        let (head, alphabet) = (form.head(part), form.alphabet());
        for_each_gram(
            &head,
            alphabet,
            self.gram_len,
            self.stride,
            |offset, gram| {
                self.filter.add(gram);
                if offset == 0 {
                    self.first_bytes.add(gram);
                    self.starts.insert(Start {
                        gram: sort_key(gram),
                        part: index,
                        form,
                    });
                }
            },
        );
    }

    /// Searches output for secrets. Output that is not `complete` may end with the start of one.
    pub(super) fn scan(&self, output: &[u8], complete: bool) -> Scan {
        let mut scan = Scan {
            found: Vec::new(),
            keep: output.len(),
        };
        let mut at = 0;
        // The string in the filter at a position is part of a secret that starts there or shortly before.
        let before = self.stride - 1;
        while !self.is_empty() {
            // A secret that starts at `s` has its strings at `s` to `s + before` in the filter. So
            // the position `at + before` covers all starts from `at` to itself.
            let found = self.filter.find(output, at + before, self.stride);
            let starts = match found {
                Found::Gram(gram) => gram - before..gram + 1,
                Found::End(end) => (end - before).min(output.len())..output.len(),
            };
            at = starts.end;
            for start in starts {
                let Comparison {
                    matched,
                    is_partial,
                } = self.compare(&output[start..]);
                if is_partial && !complete {
                    scan.keep = start;
                    return scan;
                }
                scan.add(start..start + matched);
            }
            if matches!(found, Found::End(_)) {
                break;
            }
        }
        scan
    }

    /// Compares the start of `output` with all parts that may start there.
    fn compare(&self, output: &[u8]) -> Comparison {
        let mut best = Comparison::default();
        if !self.first_bytes.may_start(output) {
            return best;
        }
        // Output that is shorter than the key may continue with any byte.
        let key = &output[..output.len().min(self.gram_len)];
        let min = Start {
            gram: sort_key(key),
            part: 0,
            form: SecretEncoding::MIN,
        };
        let max = Start {
            gram: min.gram | u32::MAX.checked_shr(8 * key.len() as u32).unwrap_or(0),
            part: u32::MAX,
            form: SecretEncoding::MAX,
        };
        let mut starts = self.starts.range(min..=max);
        // Too short to look at the text of the parts. Keeping up to three bytes back is cheaper
        // than deciding precisely.
        if output.len() < self.gram_len {
            best.is_partial = starts.next().is_some();
            return best;
        }
        for start in starts {
            let text = start.form.text(&self.parts[start.part as usize]);
            let Comparison {
                matched,
                is_partial,
            } = compare(&text, start.form.alphabet(), output);
            best.matched = best.matched.max(matched);
            best.is_partial |= is_partial;
        }
        best
    }
}

/// The result of a search.
#[derive(Debug)]
pub(super) struct Scan {
    /// The positions of secrets, in order. Overlapping secrets are merged.
    pub(super) found: Vec<Range<usize>>,
    /// The start of the bytes that may become a secret. Secrets that start there are not searched.
    pub(super) keep: usize,
}

impl Scan {
    /// Adds a match that starts after all others.
    fn add(&mut self, range: Range<usize>) {
        match self.found.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if last.end > range.start => last.end = last.end.max(range.end),
            _ => self.found.push(range),
        }
    }
}

/// Returns a number whose order is that of the bytes, at most four.
fn sort_key(bytes: &[u8]) -> u32 {
    let mut key = [0; MAX_GRAM];
    key[..bytes.len()].copy_from_slice(bytes);
    u32::from_be_bytes(key)
}

/// The first two bytes of all spellings: a table that excludes most positions without a search.
#[derive(Debug)]
struct FirstBytes(Box<[[u64; 4]; 256]>);

impl Default for FirstBytes {
    fn default() -> Self {
        Self(Box::new([[0; 4]; 256]))
    }
}

impl FirstBytes {
    fn add(&mut self, prefix: &[u8]) {
        let seconds = &mut self.0[usize::from(prefix[0])];
        match prefix.get(1) {
            Some(second) => seconds[usize::from(second / 64)] |= 1 << (second % 64),
            None => *seconds = [u64::MAX; 4],
        }
    }

    fn may_start(&self, output: &[u8]) -> bool {
        match output {
            [] => false,
            [first] => self.0[usize::from(*first)] != [0; 4],
            [first, second, ..] => {
                self.0[usize::from(*first)][usize::from(second / 64)] >> (second % 64) & 1 != 0
            }
        }
    }
}
