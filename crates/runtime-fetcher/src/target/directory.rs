//! A target that unpacks an archive.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::spool::{Spool, SpoolError};
use super::{Target, TargetError};
use crate::unpack::{ArchiveFormat, UnpackError, UnpackLimits, Unpacked, unpack_until};

/// Unpacks an archive into a new folder, when the archive is complete and verified.
///
/// The archive is kept in a temporary file beside the folder until then: what has not passed its
/// hashes is not parsed. The folder appears at once with everything in it, or not at all. It must not be
/// there before, unless it is empty. What an archive may hold is in the docs of [`unpack`](crate::unpack()).
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
    path: PathBuf,
    format: Option<ArchiveFormat>,
    limits: UnpackLimits,
    spool: Spool,
    unpacked: Option<Unpacked>,
}

impl DirectoryTarget {
    /// Makes a target for a folder at `path`, whose parent must exist by the time bytes come.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let spool = Spool::beside(&path);
        Self {
            path,
            format: None,
            limits: UnpackLimits::default(),
            spool,
            unpacked: None,
        }
    }

    /// Says what kind of archive comes, instead of having a look at it.
    #[must_use]
    pub fn with_format(mut self, format: ArchiveFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Says how much may come out of the archive.
    #[must_use]
    pub fn with_limits(mut self, limits: UnpackLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Where the folder will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What came out of the archive, once it is unpacked.
    #[must_use]
    pub fn unpacked(&self) -> Option<Unpacked> {
        self.unpacked
    }
}

#[async_trait]
impl Target for DirectoryTarget {
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
        let staging = Staging {
            folder: self.spool.folder().to_owned(),
            path: self.path.clone(),
            format: self.format,
            limits: self.limits.clone(),
        };
        let stop = StopOnDrop::default();
        let stopped = Arc::clone(&stop.0);
        let unpacked = self
            .spool
            .read(move |archive| staging.fill(archive, &stopped));
        let unpacked = unpacked.await.map_err(|error| error.about(&self.path))?;
        self.unpacked = Some(unpacked?);
        Ok(())
    }
}

/// Tells the thread that unpacks when nobody waits for it any more.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where an archive is unpacked before its folder appears.
struct Staging {
    folder: PathBuf,
    path: PathBuf,
    format: Option<ArchiveFormat>,
    limits: UnpackLimits,
}

impl Staging {
    fn fill(self, archive: &mut std::fs::File, stop: &AtomicBool) -> Result<Unpacked, TargetError> {
        let error = |action| {
            let path = self.path.clone();
            move |source| SpoolError::at(action)(source).about(&path)
        };
        let mut builder = tempfile::Builder::new();
        let staging = builder.prefix(".unpack-").tempdir_in(&self.folder);
        let staging = staging.map_err(error("create a temporary folder for"))?;
        let unpacked = unpack_until(archive, self.format, staging.path(), &self.limits, stop)?;
        open_to_others(staging.path()).map_err(error("set the permissions of"))?;
        // Somebody who has left gets nothing.
        if stop.load(Ordering::Relaxed) {
            return Err(UnpackError::Stopped.into());
        }
        std::fs::rename(staging.path(), &self.path)
            .map_err(error("rename a temporary folder to"))?;
        drop(staging.keep());
        Ok(unpacked)
    }
}

/// A temporary folder is private until it is whole.
fn open_to_others(folder: &Path) -> std::io::Result<()> {
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
            .field("path", &self.path)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
