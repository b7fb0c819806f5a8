//! A target that is a file.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::spooled_file::SpooledFile;
use crate::target::{Target, TargetError};

/// A target that publishes a file when the bytes are complete and verified.
///
/// The commit replaces an existing file atomically. Without a commit nothing remains: on Linux not even after
/// `SIGKILL`, because the file is unnamed until then (where the file system does not support that, and on other
/// systems, it is a temporary file in the same folder). Batches are written on another thread, in parallel with the
/// transfer. Disk space for a known length is allocated before the first write.
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
    file: SpooledFile,
}

impl FileTarget {
    /// Creates a target for a file at `path`. Its folder must exist before the first write.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let file = SpooledFile::new(path.into());
        Self { file }
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

#[async_trait]
impl Target for FileTarget {
    async fn expect(&mut self, bytes: u64) -> Result<(), TargetError> {
        self.file.expect(bytes);
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError> {
        self.file.write(bytes).await
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        self.file.reset().await
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        self.file.persist().await
    }
}

impl std::fmt::Debug for FileTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileTarget")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
