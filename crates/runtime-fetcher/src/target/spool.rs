//! A temporary file that takes bytes on another thread.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::TargetError;
use super::temporary::Temporary;
use crate::desk::briefly;
use crate::lane::Lane;

/// Gathers bytes in a temporary file in a folder. Writing happens on another thread, in batches, while the
/// next bytes come. Nothing is left behind unless [`finish`](Self::finish) says so.
pub(super) struct Spool {
    folder: PathBuf,
    /// How many bytes will come, if that is known.
    expected: u64,
    stage: Stage,
}

/// A file is made only when there is much to write: a small one is made, written and put to use at once.
enum Stage {
    Gathering { bytes: Vec<Bytes>, length: usize },
    Writing(Writing),
}

struct Writing {
    lane: Lane<File>,
    written: u64,
    /// Removes the temporary file when it is dropped, whoever still writes to it.
    temporary: Temporary,
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
const ALLOCATE: &str = "take room for all bytes of";
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
            expected: 0,
            stage: Stage::empty(),
        }
    }

    #[cfg(feature = "unpack")]
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Hears how many bytes come; a file that is large gets its room on the disk at once.
    pub(super) fn expect(&mut self, bytes: u64) {
        self.expected = bytes;
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
                writing.written += bytes.len() as u64;
                let pushed = writing.lane.push(bytes).await;
                pushed.map_err(SpoolError::at(WRITE))
            }
        }
    }

    pub(super) async fn reset(&mut self) -> Result<(), SpoolError> {
        self.expected = 0;
        // Dropping the temporary file removes it; that it is gone is what nobody may doubt.
        let Stage::Writing(writing) = std::mem::replace(&mut self.stage, Stage::empty()) else {
            return Ok(());
        };
        let removed = blocking(move || writing.temporary.remove()).await;
        removed.map_err(SpoolError::at("remove a temporary file of"))
    }

    /// Gives the file its name, in place of any other file there.
    pub(super) async fn persist(&mut self, path: PathBuf) -> Result<(), SpoolError> {
        let rename = SpoolError::at("rename a temporary file to");
        let persist = move |(file, temporary): Whole| temporary.persist(file, &path);
        match self.end().await? {
            Ended::Small(bytes) => {
                let folder = self.folder.clone();
                let made = briefly(move || Ok(persist(write_whole(&folder, &bytes)?)));
                made.await.map_err(SpoolError::at(WRITE))?.map_err(rename)
            }
            Ended::Large(whole) => blocking(move || persist(whole)).await.map_err(rename),
        }
    }

    /// Gives the whole file to `work`, on a thread where that may take its time. Nothing is left of it then.
    #[cfg(feature = "unpack")]
    pub(super) async fn read<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut File) -> T + Send + 'static,
    ) -> Result<T, SpoolError> {
        let ended = self.end().await?;
        let folder = self.folder.clone();
        let read = blocking(move || {
            let (mut file, temporary) = match ended {
                Ended::Small(bytes) => write_whole(&folder, &bytes)?,
                Ended::Large(whole) => whole,
            };
            let result = work(&mut file);
            // A file that is open cannot be removed everywhere.
            drop(file);
            drop(temporary);
            Ok(result)
        });
        read.await.map_err(SpoolError::at(WRITE))
    }

    async fn end(&mut self) -> Result<Ended, SpoolError> {
        match std::mem::replace(&mut self.stage, Stage::empty()) {
            Stage::Gathering { bytes, .. } => Ok(Ended::Small(bytes)),
            Stage::Writing(mut writing) => {
                let file = writing.lane.drain().await;
                let file = file.map_err(SpoolError::at(WRITE))?;
                let Writing {
                    written, temporary, ..
                } = writing;
                // Only an encoded body has another length than it had on its way.
                let file = match written == self.expected {
                    true => file,
                    false => blocking(move || file.set_len(written).map(|()| file))
                        .await
                        .map_err(SpoolError::at(WRITE))?,
                };
                Ok(Ended::Large((file, temporary)))
            }
        }
    }

    async fn start_writing(&mut self, bytes: Vec<Bytes>) -> Result<(), SpoolError> {
        let (folder, expected) = (self.folder.clone(), self.expected);
        let created = blocking(move || {
            let (file, temporary) = Temporary::create_in(&folder)?;
            let allocated = allocate(&file, expected);
            Ok(allocated.map(|()| (file, temporary)))
        });
        let created = created.await.map_err(SpoolError::at(CREATE))?;
        let (file, temporary) = created.map_err(SpoolError::at(ALLOCATE))?;
        let mut lane = Lane::new(file, write_batch);
        let mut written = 0;
        for bytes in bytes {
            written += bytes.len() as u64;
            lane.push(bytes).await.map_err(SpoolError::at(WRITE))?;
        }
        self.stage = Stage::Writing(Writing {
            lane,
            written,
            temporary,
        });
        Ok(())
    }
}

/// What a spool holds at its end.
enum Ended {
    Small(Vec<Bytes>),
    Large(Whole),
}

type Whole = (File, Temporary);

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

fn write_whole(folder: &Path, bytes: &[Bytes]) -> io::Result<Whole> {
    let (mut file, temporary) = Temporary::create_in(folder)?;
    write_batch(&mut file, bytes)?;
    Ok((file, temporary))
}

/// Takes room on the disk at once: a disk that is too small is known before the first byte, and writing
/// costs a fifth less.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        let allocated = fallocate(file, FallocateFlags::empty(), 0, bytes);
        // Not every file system can do this, and nothing depends on it.
        if let Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) = allocated {
            return Err(error.into());
        }
    }
    let _ = (file, bytes);
    Ok(())
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
