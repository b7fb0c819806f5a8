//! A target on disk.

use std::fs::File;
use std::io::{self, IoSlice, Seek, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempPath;

use super::{Target, TargetError};
use crate::lane::Lane;

/// Writes to a temporary file beside `path`, and renames it when the bytes are complete and verified.
///
/// A file that was there before is replaced then, and not before. Without a commit, nothing is left
/// behind. Writing happens on another thread, in batches, while the next bytes come.
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
    /// Removes the temporary file when it is dropped, whoever still writes to it.
    temporary: Option<TempPath>,
    lane: Option<Lane<File>>,
}

impl FileTarget {
    /// Makes a target for a file at `path`, whose folder must exist by the time bytes come.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            temporary: None,
            lane: None,
        }
    }

    /// Where the file will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn lane(&mut self) -> Result<&mut Lane<File>, TargetError> {
        if self.lane.is_none() {
            let path = self.path.clone();
            let (file, temporary) = blocking(move || create_beside(&path))
                .await
                .map_err(|source| self.error("create a temporary file for", source))?;
            self.temporary = Some(temporary);
            self.lane = Some(Lane::new(file, write_batch));
        }
        Ok(self.lane.as_mut().expect("it was just made"))
    }

    fn error(&self, action: &'static str, source: io::Error) -> TargetError {
        let path = self.path.clone();
        TargetError::Io {
            action,
            path,
            source,
        }
    }
}

#[async_trait]
impl Target for FileTarget {
    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError> {
        let result = self.lane().await?.push(bytes).await;
        result.map_err(|source| self.error("write", source))
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        let Some(lane) = &mut self.lane else {
            return Ok(());
        };
        let result = match lane.take().await {
            Ok((file, _)) => blocking(move || truncate(file)).await,
            Err(error) => Err(error),
        };
        let file = result.map_err(|source| self.error("reset", source))?;
        self.lane = Some(Lane::new(file, write_batch));
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        let result = self.lane().await?.drain().await;
        drop(result.map_err(|source| self.error("write", source))?);
        self.lane = None;
        let temporary = self.temporary.take().expect("a lane has a temporary file");
        let path = self.path.clone();
        let renamed = blocking(move || Ok(temporary.persist(path)?)).await;
        renamed.map_err(|source| self.error("rename a temporary file to", source))
    }
}

impl std::fmt::Debug for FileTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileTarget")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

fn create_beside(path: &Path) -> io::Result<(File, TempPath)> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".fetch-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The umask still applies: the file is as readable as any other that the worker makes.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    Ok(builder.tempfile_in(folder)?.into_parts())
}

fn truncate(mut file: File) -> io::Result<File> {
    file.set_len(0)?;
    file.rewind()?;
    Ok(file)
}

fn write_batch(file: &mut File, batch: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<_> = batch.iter().map(|bytes| IoSlice::new(bytes)).collect();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
