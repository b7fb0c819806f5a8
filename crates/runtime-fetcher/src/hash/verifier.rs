//! Computes the demanded hashes beside the transfer, each on its own.

use std::io;

use bytes::Bytes;
use md5::digest::DynDigest;
use ring::digest::{Context, SHA512};

use super::{Algorithm, Hashes};
use crate::lane::Lane;

/// Bodies up to this size are hashed on the spot: that is quicker than a change of threads.
const SMALL: usize = 32 * 1024;

/// Bytes have another hash than they should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes have the {algorithm} {actual}, and {expected} was expected")]
#[non_exhaustive]
pub struct HashMismatch {
    /// The hash function.
    pub algorithm: Algorithm,
    /// What the reference demands.
    pub expected: String,
    /// What the bytes have.
    pub actual: String,
}

/// A hash function at work. Each is the fastest at hand: the first three use the SHA instructions of the
/// processor where it has them; for SHA-512, ring has better code than the crates of the others.
enum Hasher {
    Portable(Box<dyn DynDigest + Send>),
    Sha512(Box<Context>),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Portable(Box::new(md5::Md5::default())),
            Algorithm::Sha1 => Self::Portable(Box::new(sha1::Sha1::default())),
            Algorithm::Sha256 => Self::Portable(Box::new(sha2::Sha256::default())),
            Algorithm::Sha512 => Self::Sha512(Box::new(Context::new(&SHA512))),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Portable(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Portable(hasher) => hex(&hasher.finalize()),
            Self::Sha512(hasher) => hex(hasher.finish().as_ref()),
        }
    }
}

/// Computes the hashes of a body and compares them with those demanded.
pub(crate) struct Verifier {
    expected: Hashes,
    lanes: Vec<(Algorithm, Lane<Hasher>)>,
}

impl Verifier {
    pub(crate) fn new(expected: Hashes) -> Self {
        let lanes = expected
            .iter()
            .map(|(algorithm, _)| (algorithm, Lane::new(Hasher::new(algorithm), update)))
            .collect();
        Self { expected, lanes }
    }

    pub(crate) async fn update(&mut self, bytes: &Bytes) -> io::Result<()> {
        for (_, lane) in &mut self.lanes {
            lane.push(bytes.clone()).await?;
        }
        Ok(())
    }

    /// Compares the hashes; the first that differs is the error within.
    pub(crate) async fn finish(mut self) -> io::Result<Result<(), HashMismatch>> {
        for (algorithm, lane) in &mut self.lanes {
            let actual = digest(lane).await?;
            let expected = self.expected.get(*algorithm);
            if expected != Some(actual.as_str()) {
                return Ok(Err(HashMismatch {
                    algorithm: *algorithm,
                    expected: expected.unwrap_or_default().to_owned(),
                    actual,
                }));
            }
        }
        Ok(Ok(()))
    }
}

async fn digest(lane: &mut Lane<Hasher>) -> io::Result<String> {
    let hasher = if lane.is_untouched() && lane.waiting() <= SMALL {
        let (mut hasher, rest) = lane.take().await?;
        update(&mut hasher, &rest)?;
        hasher
    } else {
        lane.drain().await?
    };
    Ok(hasher.finish())
}

fn update(hasher: &mut Hasher, batch: &[Bytes]) -> io::Result<()> {
    for bytes in batch {
        hasher.update(bytes);
    }
    Ok(())
}

/// As hexadecimal digits in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
