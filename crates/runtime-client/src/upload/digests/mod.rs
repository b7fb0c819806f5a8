//! What is known of the bytes of an artifact, before any encoding.

mod companion;

use bytes::Bytes;
use ring::digest::{Context, SHA256, SHA512};
use runtime_core::util::hex;

use self::companion::Companion;

/// From which length on a second thread pays for its start.
const LONG: u64 = 4 << 20;

/// Length and hashes of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) length: u64,
    /// Lower-case hexadecimal.
    pub(super) sha256: String,
    /// Lower-case hexadecimal.
    pub(super) sha512: String,
}

/// Computes [`Digests`] in one pass.
pub(super) struct Digester {
    length: u64,
    sha256: Context,
    sha512: Sha512,
}

/// SHA-512 takes twice as long as SHA-256 where processors help with the latter, and is then what an upload waits
/// for. Of what is long, it is computed beside everything else.
enum Sha512 {
    Here(Context),
    Beside(Companion),
}

impl Digester {
    /// For about so many bytes.
    pub(super) fn new(length: u64) -> Self {
        let here = || Sha512::Here(Context::new(&SHA512));
        let beside = (length >= LONG)
            .then(|| Companion::start(&SHA512))
            .flatten();
        Self {
            length: 0,
            sha256: Context::new(&SHA256),
            sha512: beside.map_or_else(here, Sha512::Beside),
        }
    }

    pub(super) fn update(&mut self, bytes: &Bytes) {
        self.length += bytes.len() as u64;
        match &mut self.sha512 {
            Sha512::Here(context) => context.update(bytes),
            Sha512::Beside(companion) => companion.update(bytes.clone()),
        }
        self.sha256.update(bytes);
    }

    pub(super) fn finish(self) -> Digests {
        let sha512 = match self.sha512 {
            Sha512::Here(context) => context.finish(),
            Sha512::Beside(companion) => companion.finish(),
        };
        Digests {
            length: self.length,
            sha256: hex(self.sha256.finish().as_ref()),
            sha512: hex(sha512.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(length: u64, chunks: &[Bytes]) -> Digests {
        let mut digester = Digester::new(length);
        chunks.iter().for_each(|chunk| digester.update(chunk));
        digester.finish()
    }

    #[test]
    fn both_ways_give_the_same() {
        let chunks: Vec<Bytes> = (0..100_u8)
            .map(|n| vec![n; 1 + usize::from(n) * 100].into())
            .collect();
        assert_eq!(digests(0, &chunks), digests(LONG, &chunks));
        assert_eq!(digests(0, &[]), digests(LONG, &[]));
    }

    #[test]
    fn a_pass_that_is_given_up_leaves_no_thread() {
        let mut digester = Digester::new(LONG);
        digester.update(&Bytes::from_static(b"a"));
        drop(digester);
    }
}
