//! A temporary file that takes bytes on another thread.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tempfile::TempPath;

use super::TargetError;
use crate::lane::Lane;

/// Gathers bytes in a temporary file in a folder. Writing happens on another thread, in batches, while the
/// next bytes come. Nothing is left behind unless [`finish`](Self::finish) says so.
pub(super) struct Spool {
    folder: PathBuf,
    stage: Stage,
}

/// A file is made only when there is much to write: a small one is made, written and put to use at once.
enum Stage {
    Gathering { bytes: Vec<Bytes>, length: usize },
    Writing(Writing),
}

struct Writing {
    lane: Lane<File>,
    /// Removes the temporary file when it is dropped, whoever still writes to it.
    temporary: TempPath,
}

/// How much is gathered before there is a file.
const SMALL: usize = 64 * 1024;

/// An operation on a spool that failed.
pub(super) struct SpoolError {
    pub(super) action: &'static str,
    pub(super) source: io::Error,
}

impl SpoolError {
    /// For `map_err`.
    pub(super) fn at(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, source }
    }

    /// The error of the target whose bytes these are.
    pub(super) fn about(self, path: &Path) -> TargetError {
        TargetError::Io {
            action: self.action,
            path: path.to_owned(),
            source: self.source,
        }
    }
}

const CREATE: &str = "create a temporary file for";
const WRITE: &str = "write";

impl Spool {
    /// Makes a spool in the folder of `path`, which must exist by the time bytes come.
    pub(super) fn beside(path: &Path) -> Self {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        Self {
            folder: folder.to_owned(),
            stage: Stage::empty(),
        }
    }

    #[cfg(feature = "unpack")]
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), SpoolError> {
        if bytes.is_empty() {
            return Ok(());
        }
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
                let pushed = writing.lane.push(bytes).await;
                pushed.map_err(SpoolError::at(WRITE))
            }
        }
    }

    pub(super) async fn reset(&mut self) -> Result<(), SpoolError> {
        // Dropping the temporary file removes it; that it is gone is what nobody may doubt.
        let Stage::Writing(writing) = std::mem::replace(&mut self.stage, Stage::empty()) else {
            return Ok(());
        };
        let removed = blocking(move || writing.temporary.close()).await;
        removed.map_err(SpoolError::at("remove a temporary file of"))
    }

    /// Gives the whole file to `put_to_use`, on a thread where that may block. A temporary file that is
    /// not persisted there is removed.
    pub(super) async fn finish<T: Send + 'static>(
        &mut self,
        put_to_use: impl FnOnce(File, TempPath) -> T + Send + 'static,
    ) -> Result<T, SpoolError> {
        match std::mem::replace(&mut self.stage, Stage::empty()) {
            Stage::Gathering { bytes, .. } => {
                let folder = self.folder.clone();
                let finished = blocking(move || {
                    let (mut file, temporary) = create_in(&folder)?;
                    write_batch(&mut file, &bytes)?;
                    Ok(put_to_use(file, temporary))
                });
                finished.await.map_err(SpoolError::at(WRITE))
            }
            Stage::Writing(mut writing) => {
                let file = writing.lane.drain().await;
                let file = file.map_err(SpoolError::at(WRITE))?;
                let finished = blocking(move || Ok(put_to_use(file, writing.temporary)));
                finished.await.map_err(SpoolError::at(WRITE))
            }
        }
    }

    async fn start_writing(&mut self, bytes: Vec<Bytes>) -> Result<(), SpoolError> {
        let folder = self.folder.clone();
        let created = blocking(move || create_in(&folder)).await;
        let (file, temporary) = created.map_err(SpoolError::at(CREATE))?;
        let mut lane = Lane::new(file, write_batch);
        for bytes in bytes {
            lane.push(bytes).await.map_err(SpoolError::at(WRITE))?;
        }
        self.stage = Stage::Writing(Writing { lane, temporary });
        Ok(())
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

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

fn create_in(folder: &Path) -> io::Result<(File, TempPath)> {
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
