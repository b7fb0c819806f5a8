//! Finds secrets in bytes that come in pieces.

use std::fmt;
use std::ops::Range;

use super::MARKER;
use super::patterns::Patterns;

/// The place in one stream: bytes that could become a secret.
#[derive(Default)]
pub(super) struct Stream {
    held: Vec<u8>,
    /// So many of the held bytes belong to a secret that was found and replaced. They are held because
    /// another secret may begin in them.
    replaced: usize,
}

impl Stream {
    pub(super) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    /// Appends to `out` what `bytes` and the held bytes before them come to, but for an end that could
    /// become a secret. Gives how many were found.
    pub(super) fn pass(&mut self, patterns: &Patterns, bytes: &[u8], out: &mut Vec<u8>) -> u64 {
        self.held.extend_from_slice(bytes);
        let scan = patterns.scan(&self.held);
        self.pass_until(self.held.len() - scan.begun, &scan.found, out)
    }

    /// The same with everything that is held, because nothing comes after it.
    pub(super) fn end(&mut self, patterns: &Patterns, out: &mut Vec<u8>) -> u64 {
        let scan = patterns.scan(&self.held);
        let hits = self.pass_until(self.held.len(), &scan.found, out);
        *self = Self::default();
        hits
    }

    /// Passes on what comes before `keep`. A secret that begins before it is replaced whole.
    fn pass_until(&mut self, keep: usize, found: &[Range<usize>], out: &mut Vec<u8>) -> u64 {
        let (mut at, mut hits) = (self.replaced, 0);
        for found in found {
            if found.start >= keep {
                break;
            }
            if found.start >= at {
                out.extend_from_slice(&self.held[at..found.start]);
                out.extend_from_slice(MARKER);
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
    /// Says nothing, since what is held may be most of a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
