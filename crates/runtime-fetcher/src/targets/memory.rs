//! A target in memory.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use crate::target::{Target, TargetError};

/// A target in memory with a size limit.
///
/// ```
/// # use runtime_fetcher::{MemoryTarget, Target};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), runtime_fetcher::TargetError> {
/// let mut target = MemoryTarget::new(1024);
/// target.write("hello".into()).await?;
/// assert_eq!(target.bytes(), None);
/// target.commit().await?;
/// assert_eq!(target.bytes().as_deref(), Some(&b"hello"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MemoryTarget {
    limit: u64,
    partial: BytesMut,
    committed: Option<Bytes>,
}

impl MemoryTarget {
    /// Creates a target for at most `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            partial: BytesMut::new(),
            committed: None,
        }
    }

    /// Returns the bytes after they were committed.
    #[must_use]
    pub fn bytes(&self) -> Option<Bytes> {
        self.committed.clone()
    }
}

#[async_trait]
impl Target for MemoryTarget {
    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError> {
        let length = self.partial.len() as u64 + bytes.len() as u64;
        if length > self.limit {
            return Err(TargetError::TooLarge { limit: self.limit });
        }
        self.partial.extend_from_slice(&bytes);
        Ok(())
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        self.partial.clear();
        self.committed = None;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        self.committed = Some(std::mem::take(&mut self.partial).freeze());
        Ok(())
    }
}
