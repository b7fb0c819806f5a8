//! A target that is a file. Small contents stay in memory, large ones are written on another thread.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::temp_file::TempFile;
use crate::blocking_batches::BlockingBatches;
use crate::short_file_jobs::run_on_pool;
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
    path: PathBuf,
    /// The announced length, or 0. Disk space for it is allocated when the file is created.
    expected: u64,
    storage: Storage,
}

/// Where the bytes are. A small file is created, written and named in one blocking operation at the end.
enum Storage {
    Memory { chunks: Vec<Bytes>, length: usize },
    Disk(Writer),
}

struct Writer {
    worker: BlockingBatches<File>,
    written: u64,
    /// Removes the temporary file on drop, even while a thread still writes to it.
    temp: TempFile,
}

/// Contents up to this size stay in memory until the end.
const MAX_MEMORY_BYTES: usize = 64 * 1024;

const CREATE: &str = "create a temporary file for";
const ALLOCATE: &str = "allocate disk space for";
const WRITE: &str = "write";
const RENAME: &str = "rename a temporary file to";

/// Returns a function for `map_err` that turns an I/O error into the error of the target at `path`.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TargetError {
    move |source| TargetError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

impl FileTarget {
    /// Creates a target for a file at `path`. Its folder must exist before the first write.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            expected: 0,
            storage: Storage::empty(),
        }
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder of the file, in which its temporary file is created.
    pub(super) fn folder(&self) -> PathBuf {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        }
    }

    /// Passes the complete file to `work` on a blocking thread, then removes the file.
    #[cfg(feature = "unpack")]
    pub(super) async fn read<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut File) -> T + Send + 'static,
    ) -> Result<T, TargetError> {
        let content = self.take_content().await?;
        let folder = self.folder();
        let read = spawn_blocking(move || {
            let (mut file, temp) = match content {
                Content::Memory(chunks) => write_all(&folder, &chunks)?,
                Content::Disk(file) => file,
            };
            let result = work(&mut file);
            // Windows does not remove an open file.
            drop(file);
            drop(temp);
            Ok(result)
        });
        read.await.map_err(io_error(WRITE, &self.path))
    }

    /// Returns the complete content and leaves an empty file.
    async fn take_content(&mut self) -> Result<Content, TargetError> {
        match std::mem::replace(&mut self.storage, Storage::empty()) {
            Storage::Memory { chunks, .. } => Ok(Content::Memory(chunks)),
            Storage::Disk(Writer {
                mut worker,
                written,
                temp,
            }) => {
                let file = worker.finish().await;
                let mut file = file.map_err(io_error(WRITE, &self.path))?;
                // The allocation extended the file to the announced length. Decoding changes the length.
                if written != self.expected {
                    let truncated = spawn_blocking(move || file.set_len(written).map(|()| file));
                    file = truncated.await.map_err(io_error(WRITE, &self.path))?;
                }
                Ok(Content::Disk((file, temp)))
            }
        }
    }

    async fn move_to_disk(&mut self, chunks: Vec<Bytes>) -> Result<(), TargetError> {
        let (folder, expected) = (self.folder(), self.expected);
        let created = spawn_blocking(move || {
            let (file, temp) = TempFile::create_in(&folder)?;
            let allocated = allocate(&file, expected);
            // Two results in each other, because a full disk is another error than a missing
            // folder.
            Ok(allocated.map(|()| (file, temp)))
        });
        let created = created.await.map_err(io_error(CREATE, &self.path))?;
        let (file, temp) = created.map_err(io_error(ALLOCATE, &self.path))?;
        let mut worker = BlockingBatches::new(file, write_batch);
        let mut written = 0;
        for chunk in chunks {
            written += chunk.len() as u64;
            let pushed = worker.push(chunk).await;
            pushed.map_err(io_error(WRITE, &self.path))?;
        }
        self.storage = Storage::Disk(Writer {
            worker,
            written,
            temp,
        });
        Ok(())
    }
}

#[async_trait]
impl Target for FileTarget {
    async fn expect(&mut self, bytes: u64) -> Result<(), TargetError> {
        self.expected = bytes;
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError> {
        if bytes.is_empty() {
            return Ok(());
        }
        match &mut self.storage {
            Storage::Memory { chunks, length } => {
                *length += bytes.len();
                chunks.push(bytes);
                if *length <= MAX_MEMORY_BYTES {
                    return Ok(());
                }
                let chunks = std::mem::take(chunks);
                self.move_to_disk(chunks).await
            }
            Storage::Disk(writer) => {
                writer.written += bytes.len() as u64;
                let pushed = writer.worker.push(bytes).await;
                pushed.map_err(io_error(WRITE, &self.path))
            }
        }
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        // The next attempt may announce another length, or none.
        self.expected = 0;
        let Storage::Disk(writer) = std::mem::replace(&mut self.storage, Storage::empty()) else {
            return Ok(());
        };
        // A drop would remove the file, too, but ignore an error.
        let removed = spawn_blocking(move || writer.temp.remove()).await;
        removed.map_err(io_error("remove a temporary file of", &self.path))
    }

    /// Names the file, replacing any other file at its path.
    async fn commit(&mut self) -> Result<(), TargetError> {
        let path = self.path.clone();
        let persist = move |(file, temp): OpenFile| temp.persist(file, &path);
        match self.take_content().await? {
            Content::Memory(chunks) => {
                let folder = self.folder();
                // Thousands of small files take longer to schedule than to write, hence the shared pool.
                let persisted = run_on_pool(move || Ok(persist(write_all(&folder, &chunks)?)));
                let persisted = persisted.await.map_err(io_error(WRITE, &self.path))?;
                persisted.map_err(io_error(RENAME, &self.path))
            }
            Content::Disk(file) => {
                let persisted = spawn_blocking(move || persist(file)).await;
                persisted.map_err(io_error(RENAME, &self.path))
            }
        }
    }
}

/// The complete content of a file.
enum Content {
    Memory(Vec<Bytes>),
    Disk(OpenFile),
}

type OpenFile = (File, TempFile);

impl Storage {
    fn empty() -> Self {
        Self::Memory {
            chunks: Vec::new(),
            length: 0,
        }
    }
}

/// Runs an operation that may take long, such as allocating a large file, outside the shared pool.
async fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

fn write_all(folder: &Path, chunks: &[Bytes]) -> io::Result<OpenFile> {
    let (mut file, temp) = TempFile::create_in(folder)?;
    write_batch(&mut file, chunks)?;
    Ok((file, temp))
}

/// Allocates disk space. A full disk is detected before the transfer, and writing takes a fifth less time.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        let allocated = fallocate(file, FallocateFlags::empty(), 0, bytes);
        // Other errors mean that the file system does not support it, which is fine: writing allocates as well.
        if let Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) = allocated {
            return Err(error.into());
        }
    }
    let _ = (file, bytes);
    Ok(())
}

/// Writes all chunks with as few system calls as possible; `write_all_vectored` is not stable yet.
fn write_batch(file: &mut File, batch: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<_> = batch.iter().map(|bytes| IoSlice::new(bytes)).collect();
    let mut remaining = &mut slices[..];
    while !remaining.is_empty() {
        match file.write_vectored(remaining) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut remaining, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl std::fmt::Debug for FileTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileTarget")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
