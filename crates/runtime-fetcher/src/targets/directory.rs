//! A target that unpacks an archive into a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::file::{FileTarget, io_error};
use crate::target::{Target, TargetError};
use crate::unpack::{ArchiveFormat, UnpackError, UnpackLimits, UnpackTotals, unpack_until};

/// A target that unpacks an archive into a new folder when the archive is complete and verified.
///
/// Until then the archive is a temporary file in the parent folder: bytes that have not passed verification are
/// not parsed. The folder appears atomically with all entries. It must not exist before, unless it is empty.
/// [`unpack`](crate::unpack::unpack()) documents the accepted archives.
///
/// ```
/// # use runtime_fetcher::{DirectoryTarget, Target};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let mut archive = tar::Builder::new(Vec::new());
/// # let mut header = tar::Header::new_gnu();
/// # header.set_size(5);
/// # header.set_mode(0o644);
/// # archive.append_data(&mut header, "bin/greeting", &b"hello"[..])?;
/// # let archive = archive.into_inner()?;
/// let mut target = DirectoryTarget::new(folder.path().join("toolchain"));
/// target.write(archive.into()).await?;
/// target.commit().await?;
/// assert_eq!(std::fs::read(folder.path().join("toolchain/bin/greeting"))?, b"hello");
/// assert_eq!(target.unpacked().map(|unpacked| unpacked.bytes), Some(5));
/// # Ok(())
/// # }
/// ```
pub struct DirectoryTarget {
    format: Option<ArchiveFormat>,
    limits: UnpackLimits,
    /// Never committed, so that the archive itself does not appear at the path of the folder.
    archive: FileTarget,
    unpacked: Option<UnpackTotals>,
}

impl DirectoryTarget {
    /// Creates a target for a folder at `path`, whose parent must exist before the first write.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            format: None,
            limits: UnpackLimits::default(),
            archive: FileTarget::new(path),
            unpacked: None,
        }
    }

    /// Sets the format of the archive. By default the first bytes determine it.
    #[must_use]
    pub fn with_format(mut self, format: impl Into<Option<ArchiveFormat>>) -> Self {
        self.format = format.into();
        self
    }

    /// Sets the limits for the unpacked entries.
    #[must_use]
    pub fn with_limits(mut self, limits: UnpackLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns the path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.archive.path()
    }

    /// Returns the totals of the unpacked entries, after the commit.
    #[must_use]
    pub fn unpacked(&self) -> Option<UnpackTotals> {
        self.unpacked
    }
}

#[async_trait]
impl Target for DirectoryTarget {
    async fn expect(&mut self, bytes: u64) -> Result<(), TargetError> {
        self.archive.expect(bytes).await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError> {
        self.archive.write(bytes).await
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        self.archive.reset().await
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        let unpacking = Unpacking {
            parent: self.archive.folder(),
            path: self.path().to_owned(),
            format: self.format,
            limits: self.limits.clone(),
        };
        // A blocking thread cannot be cancelled. It looks at the flag at each entry, and ends soon
        // after its caller was dropped.
        let stop = StopOnDrop::default();
        let stopped = Arc::clone(&stop.0);
        let unpacked = self
            .archive
            .read(move |archive| unpacking.run(archive, &stopped));
        self.unpacked = Some(unpacked.await??);
        Ok(())
    }
}

/// Stops the unpacking thread when the future of the commit is dropped.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        // `Relaxed`: the flag guards no data, and seeing it late costs one more entry.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The work of a commit: unpacks into a temporary folder, then renames it.
struct Unpacking {
    parent: PathBuf,
    path: PathBuf,
    format: Option<ArchiveFormat>,
    limits: UnpackLimits,
}

impl Unpacking {
    fn run(
        self,
        archive: &mut std::fs::File,
        stop: &AtomicBool,
    ) -> Result<UnpackTotals, TargetError> {
        let error = |action| io_error(action, &self.path);
        let staging = StagingFolder::create_in(&self.parent)
            .map_err(error("create a temporary folder for"))?;
        let unpacked = unpack_until(archive, self.format, &staging.0, &self.limits, stop)?;
        make_readable(&staging.0).map_err(error("set the permissions of"))?;
        // The caller may have been dropped after the last entry: then the folder must not appear.
        if stop.load(Ordering::Relaxed) {
            return Err(UnpackError::Cancelled.into());
        }
        std::fs::rename(&staging.0, &self.path).map_err(error("rename a temporary folder to"))?;
        // The folder has moved, so there is nothing to remove.
        Ok(unpacked)
    }
}

/// A folder that is removed on drop, unless it has moved.
///
/// An archive decides how deep it is, which the removal by `tempfile` cannot cope with.
struct StagingFolder(PathBuf);

impl StagingFolder {
    fn create_in(parent: &Path) -> std::io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        // In the same folder, hence on the same file system: the rename is atomic.
        let folder = builder.prefix(".unpack-").tempdir_in(parent)?;
        Ok(Self(folder.keep()))
    }
}

impl Drop for StagingFolder {
    fn drop(&mut self) {
        // The fetch reports its own error. In a cache, the folder around this one is removed, too, and that is reported.
        let _ = runtime_core::remove_tree(&self.0);
    }
}

/// Grants the usual permissions: `tempfile` creates folders with mode 0700.
fn make_readable(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    }
    let _ = folder;
    Ok(())
}

impl std::fmt::Debug for DirectoryTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectoryTarget")
            .field("path", &self.path())
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
