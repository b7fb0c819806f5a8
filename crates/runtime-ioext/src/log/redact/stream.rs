//! Redaction of a stream that arrives in arbitrary pieces.

use std::borrow::Cow;
use std::fmt;

use super::REPLACEMENT;
use super::patterns::{Patterns, Scan};

/// The buffered bytes of one stream: a suffix of its input that may be the start of a secret.
///
/// The suffix is at most one spelling of a part of a secret, which has a limited length: comparing it again
/// with each write costs a constant time, however long the secret is.
#[derive(Default)]
pub(super) struct Stream {
    buffered: Vec<u8>,
    /// The length of the buffered prefix that belongs to a secret whose replacement was already written. The
    /// prefix is kept because another secret may start within it.
    replaced: usize,
}

/// Output with its secrets replaced.
pub(super) struct Redacted<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) hits: u64,
}

impl Stream {
    /// Returns the buffered bytes and `bytes` with secrets replaced, except for a suffix that may become a
    /// secret, which is buffered.
    pub(super) fn pass<'a>(&mut self, patterns: &Patterns, bytes: &'a [u8]) -> Redacted<'a> {
        self.pass_until(patterns, bytes, false)
    }

    /// Returns the buffered bytes with secrets replaced, at the end of the stream.
    pub(super) fn end(&mut self, patterns: &Patterns) -> Redacted<'static> {
        self.pass_until(patterns, &[], true)
    }

    fn pass_until<'a>(
        &mut self,
        patterns: &Patterns,
        bytes: &'a [u8],
        complete: bool,
    ) -> Redacted<'a> {
        let input = match std::mem::take(&mut self.buffered) {
            // Most output is neither buffered nor copied.
            empty if empty.is_empty() => Cow::Borrowed(bytes),
            mut buffered => {
                buffered.extend_from_slice(bytes);
                Cow::Owned(buffered)
            }
        };
        // Buffered bytes are compared again with all patterns. A saved matching state would become
        // wrong when a secret is added between two writes.
        let scan = patterns.scan(&input, complete);
        self.buffered = input[scan.keep..].to_vec();
        if scan.found.is_empty() && self.replaced == 0 {
            return Redacted {
                bytes: prefix(input, scan.keep),
                hits: 0,
            };
        }
        self.replace(&input, &scan)
    }

    /// Passes on the bytes before `scan.keep`. A secret that starts before this position is replaced as a
    /// whole.
    fn replace(&mut self, input: &[u8], scan: &Scan) -> Redacted<'static> {
        let (mut at, mut hits, mut out) = (self.replaced, 0, Vec::with_capacity(input.len()));
        for found in &scan.found {
            // A secret that starts earlier overlaps one that was replaced: its bytes are only skipped.
            if found.start >= at {
                out.extend_from_slice(&input[at..found.start]);
                out.extend_from_slice(REPLACEMENT);
                hits += 1;
            }
            at = at.max(found.end);
        }
        if at < scan.keep {
            out.extend_from_slice(&input[at..scan.keep]);
        }
        // The last replaced secret may reach into the suffix, where the next pass must not write its bytes.
        self.replaced = at.saturating_sub(scan.keep);
        Redacted {
            bytes: Cow::Owned(out),
            hits,
        }
    }
}

fn prefix(bytes: Cow<'_, [u8]>, len: usize) -> Cow<'_, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..len]),
        Cow::Owned(mut bytes) => {
            bytes.truncate(len);
            Cow::Owned(bytes)
        }
    }
}

impl fmt::Debug for Stream {
    /// Formats no content: the buffer may contain most of a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
