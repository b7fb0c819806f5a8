//! A target on disk.

use std::fs::File;
use std::io::{self, IoSlice, Write};
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
    stage: Stage,
}

/// A file is made only when there is much to write: a small one is made, written and renamed at once.
enum Stage {
    Gathering { bytes: Vec<Bytes>, length: usize },
    Writing(Writing),
}

struct Writing {
    lane: Lane<File>,
    /// Removes the temporary file when it is dropped, whoever still writes to it.
    temporary: TempPath,
}

impl FileTarget {
    /// Makes a target for a file at `path`, whose folder must exist by the time bytes come.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            stage: Stage::empty(),
        }
    }

    /// Where the file will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn start_writing(&mut self, bytes: Vec<Bytes>) -> Result<(), TargetError> {
        let path = self.path.clone();
        let (file, temporary) = blocking(move || create_beside(&path))
            .await
            .map_err(|source| self.error(CREATE, source))?;
        let mut lane = Lane::new(file, write_batch);
        for bytes in bytes {
            let result = lane.push(bytes).await;
            result.map_err(|source| self.error(WRITE, source))?;
        }
        self.stage = Stage::Writing(Writing { lane, temporary });
        Ok(())
    }

    async fn commit_small(&self, bytes: Vec<Bytes>) -> Result<(), TargetError> {
        let path = self.path.clone();
        let done = blocking(move || {
            let (mut file, temporary) = create_beside(&path)?;
            write_batch(&mut file, &bytes)?;
            drop(file);
            Ok(temporary.persist(&path)?)
        });
        done.await.map_err(|source| self.error(WRITE, source))
    }

    async fn commit_large(&self, mut writing: Writing) -> Result<(), TargetError> {
        let file = writing.lane.drain().await;
        drop(file.map_err(|source| self.error(WRITE, source))?);
        let path = self.path.clone();
        let renamed = blocking(move || Ok(writing.temporary.persist(path)?)).await;
        renamed.map_err(|source| self.error("rename a temporary file to", source))
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

const CREATE: &str = "create a temporary file for";
const WRITE: &str = "write";

/// How much is gathered before there is a file.
const SMALL: usize = 64 * 1024;

#[async_trait]
impl Target for FileTarget {
    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError> {
        match &mut self.stage {
            Stage::Gathering { bytes: all, length } => {
                *length += bytes.len();
                all.push(bytes);
                if *length <= SMALL {
                    return Ok(());
                }
                let all = std::mem::take(all);
                self.start_writing(all).await
            }
            Stage::Writing(writing) => {
                let result = writing.lane.push(bytes).await;
                result.map_err(|source| self.error(WRITE, source))
            }
        }
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        // Dropping the temporary file removes it; that it is gone is what nobody may doubt.
        let Stage::Writing(writing) = std::mem::replace(&mut self.stage, Stage::empty()) else {
            return Ok(());
        };
        let removed = blocking(move || writing.temporary.close()).await;
        removed.map_err(|source| self.error("remove a temporary file of", source))
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        match std::mem::replace(&mut self.stage, Stage::empty()) {
            Stage::Gathering { bytes, .. } => self.commit_small(bytes).await,
            Stage::Writing(writing) => self.commit_large(writing).await,
        }
    }
}

impl Stage {
    fn empty() -> Self {
        Self::Gathering {
            bytes: Vec::new(),
            length: 0,
        }
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
