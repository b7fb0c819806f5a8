//! The end of a pass: counts, hashes and stores what comes.

use bytes::Bytes;

use super::Halt;
use crate::hash::{Hashes, Verifier};
use crate::{AttemptError, Target, TargetError};

/// Takes the decoded bytes of one pass.
pub(super) struct Sink<'a> {
    target: &'a mut dyn Target,
    verifier: Verifier,
    limit: u64,
    bytes: u64,
}

impl<'a> Sink<'a> {
    pub(super) fn new(target: &'a mut dyn Target, hashes: Hashes, limit: u64) -> Self {
        Self {
            target,
            verifier: Verifier::new(hashes),
            limit,
            bytes: 0,
        }
    }

    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), Halt> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limit {
            return Err(Halt::Failed(AttemptError::TooLarge { limit: self.limit }));
        }
        self.verifier.update(&bytes).await.map_err(hashing)?;
        self.target.write(bytes).await?;
        Ok(())
    }

    /// Commits the target if the bytes are right, and tells how many there are.
    pub(super) async fn finish(self) -> Result<u64, Halt> {
        let verdict = self.verifier.finish().await.map_err(hashing)?;
        verdict.map_err(|mismatch| Halt::Failed(mismatch.into()))?;
        self.target.commit().await?;
        Ok(self.bytes)
    }
}

/// Hashing fails only if its thread does.
fn hashing(error: std::io::Error) -> Halt {
    Halt::Target(TargetError::Receiver(error.into()))
}
