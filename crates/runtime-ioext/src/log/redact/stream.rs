//! Redaction of a stream that arrives in pieces.

use std::fmt;
use std::ops::Range;

use super::REPLACEMENT;
use super::patterns::Patterns;

/// The state of one stream: the buffered bytes that may become a secret.
#[derive(Default)]
pub(super) struct Stream {
    held: Vec<u8>,
    /// The number of buffered bytes that belong to a secret that was already replaced. They are kept because
    /// another secret may start in them.
    replaced: usize,
}

impl Stream {
    pub(super) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    /// Redacts the buffered bytes followed by `bytes` into `out`, except for a suffix that may become a
    /// secret. Returns the number of replacements.
    pub(super) fn pass(&mut self, patterns: &Patterns, bytes: &[u8], out: &mut Vec<u8>) -> u64 {
        self.held.extend_from_slice(bytes);
        let scan = patterns.scan(&self.held);
        self.pass_until(self.held.len() - scan.partial_match, &scan.found, out)
    }

    /// Redacts the buffered bytes at the end of the stream.
    pub(super) fn end(&mut self, patterns: &Patterns, out: &mut Vec<u8>) -> u64 {
        let scan = patterns.scan(&self.held);
        let hits = self.pass_until(self.held.len(), &scan.found, out);
        *self = Self::default();
        hits
    }

    /// Redacts the bytes before `keep`. A secret that starts before it is replaced as a whole.
    fn pass_until(&mut self, keep: usize, found: &[Range<usize>], out: &mut Vec<u8>) -> u64 {
        let (mut at, mut hits) = (self.replaced, 0);
        for found in found {
            if found.start >= keep {
                break;
            }
            if found.start >= at {
                out.extend_from_slice(&self.held[at..found.start]);
                out.extend_from_slice(REPLACEMENT);
                hits += 1;
            }
            at = at.max(found.end);
        }
        if at < keep {
            out.extend_from_slice(&self.held[at..keep]);
        }
        self.held.drain(..keep);
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
