//! Verification of hashes during the transfer.

use std::io;

use bytes::Bytes;
use md5::digest::DynDigest;
use ring::digest::{Context, SHA512};
use runtime_core::util::hex;

use super::digest::{Algorithm, HashMismatch, Hashes};
use crate::blocking_batches::BlockingBatches;

/// Bodies up to this size are hashed inline, which takes less time than switching threads.
const MAX_INLINE_BYTES: usize = 32 * 1024;

/// The state of a hash function, each in its fastest implementation.
///
/// MD5, SHA-1 and SHA-256 use the crates of RustCrypto, which use the SHA instructions of the processor if
/// present. Their SHA-512 is slower than ring's.
enum Hasher {
    RustCrypto(Box<dyn DynDigest + Send>),
    Ring(Box<Context>),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::RustCrypto(Box::new(md5::Md5::default())),
            Algorithm::Sha1 => Self::RustCrypto(Box::new(sha1::Sha1::default())),
            Algorithm::Sha256 => Self::RustCrypto(Box::new(sha2::Sha256::default())),
            Algorithm::Sha512 => Self::Ring(Box::new(Context::new(&SHA512))),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::RustCrypto(hasher) => hasher.update(bytes),
            Self::Ring(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::RustCrypto(hasher) => hex(&hasher.finalize()),
            Self::Ring(hasher) => hex(hasher.finish().as_ref()),
        }
    }
}

/// Computes the required hashes of a body and compares them.
///
/// Hashing after the transfer would read a large file a second time. Hashing inline would delay the connection, so
/// each function has its own queue of batches, and a body with SHA-256 and SHA-512 uses two processors.
pub(crate) struct Verifier {
    expected: Hashes,
    workers: Vec<(Algorithm, BlockingBatches<Hasher>)>,
}

impl Verifier {
    pub(crate) fn new(expected: Hashes) -> Self {
        let workers = expected
            .iter()
            .map(|(algorithm, _)| {
                (
                    algorithm,
                    BlockingBatches::new(Hasher::new(algorithm), update),
                )
            })
            .collect();
        Self { expected, workers }
    }

    pub(crate) async fn update(&mut self, bytes: &Bytes) -> io::Result<()> {
        for (_, worker) in &mut self.workers {
            // Clones share the buffer. A full queue waits here: it slows down the connection instead of buffering
            // the body.
            worker.push(bytes.clone()).await?;
        }
        Ok(())
    }

    /// Returns the first mismatch, if any. The outer error means that a hash could not be computed.
    pub(crate) async fn finish(mut self) -> io::Result<Result<(), HashMismatch>> {
        for (algorithm, worker) in &mut self.workers {
            let actual = digest(worker).await?;
            let expected = self.expected.get(*algorithm);
            if expected != Some(actual.as_str()) {
                return Ok(Err(HashMismatch {
                    algorithm: *algorithm,
                    expected: expected.unwrap_or_default().to_owned(),
                    actual,
                    decoded: None,
                }));
            }
        }
        Ok(Ok(()))
    }
}

async fn digest(worker: &mut BlockingBatches<Hasher>) -> io::Result<String> {
    // Everything is still in the first batch: no thread has been started for it.
    let hasher = if worker.is_unstarted() && worker.pending_bytes() <= MAX_INLINE_BYTES {
        let (mut hasher, chunks) = worker.take_unstarted().await?;
        update(&mut hasher, &chunks)?;
        hasher
    } else {
        worker.finish().await?
    };
    Ok(hasher.finish())
}

fn update(hasher: &mut Hasher, batch: &[Bytes]) -> io::Result<()> {
    for bytes in batch {
        hasher.update(bytes);
    }
    Ok(())
}
