//! Length and hashes of the bytes of an artifact, before compression.

mod hash_thread;

use bytes::Bytes;
use ring::digest::{Context, SHA256, SHA512};
use runtime_core::artifact::Uploaded;
use runtime_core::util::hex;

use self::hash_thread::HashThread;

/// The length from which on a second thread is faster in spite of its start.
const MIN_THREADED_BYTES: u64 = 4 << 20;

/// Length and hashes of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) length: u64,
    /// Lower-case hexadecimal.
    pub(super) sha256: String,
    /// Lower-case hexadecimal.
    pub(super) sha512: String,
}

impl Digests {
    /// Computes the digests of bytes in memory.
    pub(super) fn of(bytes: &Bytes) -> Self {
        let mut digester = Digester::new(bytes.len() as u64);
        digester.update(bytes);
        digester.finish()
    }
}

/// Computes [`Digests`] in one pass.
pub(super) struct Digester {
    length: u64,
    sha256: Context,
    sha512: Sha512,
}

/// Where SHA-512 is computed.
///
/// On processors with SHA-256 instructions, SHA-512 takes twice as long as SHA-256 and would limit the speed of an
/// upload. For long sources it is computed by a second thread, in parallel to reading, SHA-256 and sending.
enum Sha512 {
    Inline(Context),
    Thread(HashThread),
}

impl Digester {
    /// Creates a digester for about `length` bytes.
    pub(super) fn new(length: u64) -> Self {
        let inline = || Sha512::Inline(Context::new(&SHA512));
        let thread = (length >= MIN_THREADED_BYTES)
            .then(|| HashThread::start(&SHA512))
            .flatten();
        Self {
            length: 0,
            sha256: Context::new(&SHA256),
            sha512: thread.map_or_else(inline, Sha512::Thread),
        }
    }

    pub(super) fn update(&mut self, bytes: &Bytes) {
        self.length += bytes.len() as u64;
        // First, so that the thread works while this one computes SHA-256.
        match &mut self.sha512 {
            Sha512::Inline(context) => context.update(bytes),
            Sha512::Thread(thread) => thread.update(bytes.clone()),
        }
        self.sha256.update(bytes);
    }

    pub(super) fn finish(self) -> Digests {
        let sha512 = match self.sha512 {
            Sha512::Inline(context) => context.finish(),
            Sha512::Thread(thread) => thread.finish(),
        };
        Digests {
            length: self.length,
            sha256: hex(self.sha256.finish().as_ref()),
            sha512: hex(sha512.as_ref()),
        }
    }
}

impl From<Digests> for Uploaded {
    fn from(digests: Digests) -> Self {
        Self::of_bytes(digests.length, digests.sha256).with_sha512(digests.sha512)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn digests(length: u64, chunks: &[Bytes]) -> Digests {
        let mut digester = Digester::new(length);
        chunks.iter().for_each(|chunk| digester.update(chunk));
        digester.finish()
    }

    #[test]
    fn thread_and_inline_digests_are_equal() {
        let chunks: Vec<Bytes> = (0..100_u8)
            .map(|n| vec![n; 1 + usize::from(n) * 100].into())
            .collect();
        assert_eq!(digests(0, &chunks), digests(MIN_THREADED_BYTES, &chunks));
        assert_eq!(digests(0, &[]), digests(MIN_THREADED_BYTES, &[]));
    }

    #[test]
    fn aborted_pass_joins_its_thread() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut digester = Digester::new(MIN_THREADED_BYTES);
        for _ in 0..3 {
            digester.update(&Bytes::from_owner(SlowToDrop(Arc::clone(&dropped))));
        }
        drop(digester);
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
    }

    /// Bytes that keep the thread busy.
    struct SlowToDrop(Arc<AtomicUsize>);

    impl AsRef<[u8]> for SlowToDrop {
        fn as_ref(&self) -> &[u8] {
            b"a"
        }
    }

    impl Drop for SlowToDrop {
        #[expect(
            clippy::disallowed_methods,
            reason = "it runs on the thread that hashes"
        )]
        fn drop(&mut self) {
            std::thread::sleep(std::time::Duration::from_millis(20));
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
