//! A target on disk.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::spool::Spool;
use super::{Target, TargetError};

/// Writes to a file that gets its name when the bytes are complete and verified.
///
/// A file that was there before is replaced then, and not before. Without a commit, nothing is left
/// behind; on Linux, not even when the process is killed, because the file has no name before (on a file system
/// that cannot do this, and elsewhere, it is a temporary one beside `path`). Writing happens on another thread,
/// in batches, while the next bytes come. Room for all bytes is taken as soon as it is known how many there are.
///
/// ```
/// # use runtime_fetcher::{FileTarget, Target};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("input.tar");
/// let mut target = FileTarget::new(&path);
/// target.write("hello".into()).await?;
/// assert!(!path.exists());
/// target.commit().await?;
/// assert_eq!(std::fs::read(&path)?, b"hello");
/// # Ok(())
/// # }
/// ```
pub struct FileTarget {
    path: PathBuf,
    spool: Spool,
}

impl FileTarget {
    /// Makes a target for a file at `path`, whose folder must exist by the time bytes come.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let spool = Spool::beside(&path);
        Self { path, spool }
    }

    /// Where the file will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[async_trait]
impl Target for FileTarget {
    async fn expect(&mut self, bytes: u64) -> Result<(), TargetError> {
        self.spool.expect(bytes);
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError> {
        let written = self.spool.write(bytes).await;
        written.map_err(|error| error.about(&self.path))
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        let forgotten = self.spool.reset().await;
        forgotten.map_err(|error| error.about(&self.path))
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        let persisted = self.spool.persist(self.path.clone()).await;
        persisted.map_err(|error| error.about(&self.path))
    }
}

impl std::fmt::Debug for FileTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileTarget")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
