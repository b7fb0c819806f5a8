//! Redaction of a stream that arrives in arbitrary pieces.

use std::fmt;
use std::ops::Range;

use super::REPLACEMENT;
use super::patterns::Patterns;

/// The buffered bytes of one stream: a suffix of its input that may be the start of a secret.
#[derive(Default)]
pub(super) struct Stream {
    buffered: Vec<u8>,
    /// The length of the buffered prefix that belongs to a secret whose replacement was already written. The
    /// prefix is kept because another secret may start within it.
    replaced: usize,
}

impl Stream {
    pub(super) fn is_empty(&self) -> bool {
        self.buffered.is_empty()
    }

    /// Appends the buffered bytes and `bytes` to `out` with secrets replaced, except for a suffix that may
    /// become a secret, which is buffered. Returns the number of replacements.
    pub(super) fn pass(&mut self, patterns: &Patterns, bytes: &[u8], out: &mut Vec<u8>) -> u64 {
        self.buffered.extend_from_slice(bytes);
        let scan = patterns.scan(&self.buffered);
        self.pass_until(self.buffered.len() - scan.partial_match, &scan.found, out)
    }

    /// Appends the buffered bytes to `out` with secrets replaced, at the end of the stream.
    pub(super) fn end(&mut self, patterns: &Patterns, out: &mut Vec<u8>) -> u64 {
        let scan = patterns.scan(&self.buffered);
        let hits = self.pass_until(self.buffered.len(), &scan.found, out);
        *self = Self::default();
        hits
    }

    /// Passes the bytes before `keep`. A secret that starts before `keep` is replaced as a whole.
    fn pass_until(&mut self, keep: usize, found: &[Range<usize>], out: &mut Vec<u8>) -> u64 {
        let (mut at, mut hits) = (self.replaced, 0);
        for found in found {
            // Such a secret is part of the buffered suffix, and is found again by the next scan.
            if found.start >= keep {
                break;
            }
            // A secret that starts earlier overlaps one that was replaced: its bytes are only skipped.
            if found.start >= at {
                out.extend_from_slice(&self.buffered[at..found.start]);
                out.extend_from_slice(REPLACEMENT);
                hits += 1;
            }
            at = at.max(found.end);
        }
        if at < keep {
            out.extend_from_slice(&self.buffered[at..keep]);
        }
        self.buffered.drain(..keep);
        // The last replaced secret may reach into the suffix, where the next pass must not write its bytes.
        self.replaced = at.saturating_sub(keep);
        hits
    }
}

impl fmt::Debug for Stream {
    /// Shows nothing: the buffer may contain most of a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
