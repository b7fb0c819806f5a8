//! A file-backed log with concurrent writers and followers.
//!
//! [`FollowedLog`] is the log, [`LogWriter`] appends to it, and [`LogReader`] follows it from any offset.
//!
//! Adaptors sit between the output of a child process and the log. Each is usable alone; a chain of them
//! is built from the log outwards:
//!
//! | adaptor | purpose |
//! | --- | --- |
//! | [`RedactingWriter`] | replaces secrets, across write boundaries and in common encodings |
//! | [`LineWriter`] | reassembles lines |
//! | [`OutputLimitWriter`] | limits output to a head and a tail |
//!
//! ```
//! use runtime_ioext::log::{FollowedLog, LineWriter, OutputLimit, Redactor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("task.log");
//! let log = FollowedLog::create(&path)?;
//! let (redactor, limit) = (Redactor::new(), OutputLimit::new(100 << 20, 1 << 20));
//! redactor.add("hunter22")?;
//!
//! let output = limit.writer(log.writer());
//! let mut stdout = redactor.writer(LineWriter::new(output.clone()));
//! let mut stderr = redactor.writer(LineWriter::new(output));
//! stdout.write_all(b"login with hunter22\n")?;
//! stderr.write_all(b"ok\n")?;
//! drop((stdout, stderr));
//!
//! log.writer().write_all(b"a worker line\n")?;
//! log.close()?;
//! let text = std::fs::read_to_string(&path)?;
//! assert_eq!(text, "login with [REDACTED]\nok\na worker line\n");
//! # Ok(())
//! # }
//! ```
//!
//! # Failures
//!
//! | failure | writers | `close`, `extract` | readers |
//! | --- | --- | --- | --- |
//! | the disk is full or fails | an error on a later call and all following ones | the same error | all accepted bytes, then the error |
//! | all handles and writers are dropped without a close | | | all bytes, then [`ReadLogError::Abandoned`] |
//! | the same, after [`FollowedLog::replace_failed_end`] | the same error | the same error | the file with its new end, then the error |
//! | another process truncates the file | | [`ExtractLogError::Changed`] | [`ReadLogError::Truncated`] |
//! | a reader is slow or dropped | no effect | no effect | it lags |
//!
//! # Memory
//!
//! At most 4 MiB of a log are pending in memory, whatever its size; beyond that, writers wait for the disk. A
//! [spooled](FollowedLog::spooled) log keeps less than 64 KiB in memory after its close, or what is pending if its file cannot be created.
//! A call of 64 KiB or more is copied segment by segment while other writers wait. A reader uses at most
//! one buffer of 64 KiB.

mod backing;
mod buffer_limits;
mod disk_read;
mod error;
mod length_waiter;
mod limit;
mod lines;
mod memory;
mod queued_flush;
mod reader;
mod redact;
mod replace_end;
mod shared;
mod sink;
mod state;
mod wakers;
mod write_out;
mod writer;

#[cfg(all(test, runtime_loom))]
mod models;
#[cfg(test)]
mod test_backing;
#[cfg(all(test, not(runtime_loom)))]
mod tests;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use self::backing::{Backing, FileBacking, SpooledFile};
use self::buffer_limits::BufferLimits;
pub use self::error::{
    CloseLogError, CreateLogError, ExtractLogError, ReadLogError, WriteLogError,
};
use self::length_waiter::LengthWaiter;
pub use self::limit::{Dropped, OutputLimit, OutputLimitWriter};
pub use self::lines::LineWriter;
pub use self::reader::LogReader;
pub use self::redact::{RedactingWriter, Redactor, SecretTooShort};
use self::shared::SharedLog;
pub use self::sink::LogSink;
use self::state::End;
pub use self::writer::LogWriter;

/// A file-backed log with concurrent writers and followers. Clones share the log.
///
/// # Example
///
/// ```
/// use runtime_ioext::FollowedLog;
/// use tokio::io::AsyncReadExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("task.log");
/// let log = FollowedLog::create(&path)?;
/// let mut reader = log.reader();
/// let follower = tokio::spawn(async move {
///     let mut text = String::new();
///     reader.read_to_string(&mut text).await.map(|_| text)
/// });
///
/// let writer = log.writer();
/// writer.write_all(b"building\n")?;
/// write!(writer, "took {} s\n", 3)?;
/// log.close()?;
///
/// assert_eq!(follower.await??, "building\ntook 3 s\n");
/// assert_eq!(log.extract()?.metadata()?.len(), 18);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FollowedLog {
    owner: Arc<Owner>,
}

/// Shared by all handles and writers, but not by readers. Dropping the last handle or writer abandons an open
/// log, so that readers do not wait forever for a writer that no longer exists.
struct Owner {
    shared: Arc<SharedLog>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        // `end` also flushes: after a panic of the last writer, the file still has every accepted
        // byte, if there is a file.
        self.shared.end(End::Abandoned);
    }
}

impl FollowedLog {
    /// Creates the file of a log, or truncates an existing one. On Unix a new file has mode 0600.
    ///
    /// # Errors
    ///
    /// If the file cannot be created or truncated.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, CreateLogError> {
        let path = path.as_ref().to_path_buf();
        match FileBacking::create(&path) {
            Ok(file) => Ok(Self::with_backing(path, Box::new(file))),
            Err(source) => Err(CreateLogError::Create { path, source }),
        }
    }

    /// Creates a log that stays in memory while it has less than 64 KiB, and then creates its file, or truncates an
    /// existing one. On Unix a new file has mode 0600.
    ///
    /// A short log thus costs no file. Its bytes stay in memory until the log and its readers are dropped, and are lost if
    /// the process crashes. [`flush`](LogWriter::flush) and [`extract`](Self::extract) create the file. If
    /// it cannot be created, the log fails.
    ///
    /// ```
    /// use runtime_ioext::FollowedLog;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// let log = FollowedLog::spooled(folder.path().join("task.log"));
    /// log.writer().write_all(b"built\n")?;
    /// log.close()?;
    /// assert!(!log.has_file());
    /// assert_eq!(log.in_memory().as_deref(), Some(&b"built\n"[..]));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn spooled(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::with_backing(path.clone(), Box::new(SpooledFile::new(path)))
    }

    fn with_backing(path: PathBuf, backing: Box<dyn Backing>) -> Self {
        Self::from_shared(SharedLog::new(path, backing, BufferLimits::DEFAULT))
    }

    fn from_shared(shared: SharedLog) -> Self {
        Self {
            owner: Arc::new(Owner {
                shared: Arc::new(shared),
            }),
        }
    }

    /// Creates a writer. An open log ends when all its handles and writers are dropped.
    #[must_use]
    pub fn writer(&self) -> LogWriter {
        LogWriter::new(Arc::clone(&self.owner))
    }

    /// Creates a reader at the first byte.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        self.reader_at(0)
    }

    /// Creates a reader at a byte offset, which may be beyond the current end.
    #[must_use]
    pub fn reader_at(&self, offset: u64) -> LogReader {
        LogReader::new(Arc::clone(self.shared()), offset)
    }

    /// Refuses further writes, flushes pending bytes, and ends readers.
    ///
    /// Blocks while up to 4 MiB are written to the file. After `Ok`, readers end cleanly and every byte is in the file,
    /// unless the log is [spooled](Self::spooled) and has none. Closing a closed log has no effect.
    ///
    /// # Errors
    ///
    /// If this or an earlier write to the file failed.
    pub fn close(&self) -> Result<(), CloseLogError> {
        self.shared().close()
    }

    /// Closes a [spooled](Self::spooled) log that has no file and needs none. Returns whether it did. Never blocks on the
    /// disk, so async code may call it.
    #[must_use]
    pub fn close_in_memory(&self) -> bool {
        memory::close(self.shared())
    }

    /// Returns all bytes of a log that has ended, if none of them is in the file. Such a log is
    /// [spooled](Self::spooled) and short, or the first write to its file failed.
    #[must_use]
    pub fn in_memory(&self) -> Option<Bytes> {
        memory::bytes(self.shared())
    }

    /// Returns whether the file was created. It is `false` for a [spooled](Self::spooled) log in memory.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.shared().backing.exists()
    }

    /// Returns the error of the write to the file that failed, if one did.
    #[must_use]
    pub fn write_error(&self) -> Option<Arc<std::io::Error>> {
        match &self.shared().lock().end {
            Some(End::Failed(error)) => Some(Arc::clone(error)),
            _ => None,
        }
    }

    /// Overwrites the end of a failed log with lines that report the failure, such as "the disk is full".
    ///
    /// On a full disk, the file may end at any byte and cannot grow. The lines therefore replace the last lines in the
    /// file. On Linux, space for the first 16 KiB of the file is reserved when the file is created. If no byte has reached the
    /// file, the lines are appended in memory. The log stays failed. Later reads return the log with its new end, then the
    /// error. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](std::io::ErrorKind::InvalidInput) if the log has not failed, or the error of the file, which may be
    /// shorter than the lines.
    pub fn replace_failed_end(&self, lines: &[u8]) -> std::io::Result<()> {
        replace_end::replace_failed_end(self.shared(), lines)
    }

    /// Returns whether the log was closed and is complete.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.shared().lock().end, Some(End::Closed))
    }

    /// Opens the file of a closed log for reading, at its start. Blocks on the disk; the file of a
    /// [spooled](Self::spooled) log is created if needed.
    ///
    /// # Errors
    ///
    /// If the log is open or incomplete because a write failed, or if the file cannot be opened or was
    /// changed by another process.
    pub fn extract(&self) -> Result<File, ExtractLogError> {
        let path = self.path().to_path_buf();
        match &self.shared().lock().end {
            Some(End::Closed) => {}
            Some(End::Failed(source)) => {
                return Err(ExtractLogError::Failed {
                    path,
                    source: Arc::clone(source),
                });
            }
            _ => return Err(ExtractLogError::NotClosed { path }),
        }
        // Opened again, not duplicated: duplicates share one position, and each caller reads from the start.
        let written = memory::write_file(self.shared());
        let opened = written.and_then(|()| File::open(&path));
        let opened = opened.and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            // Another process may have appended or truncated: an artifact must be exactly the log.
            Ok((actual, file)) if actual == self.len() => Ok(file),
            Ok((actual, _)) => Err(ExtractLogError::Changed {
                path,
                expected: self.len(),
                actual,
            }),
            Err(source) => Err(ExtractLogError::Open { path, source }),
        }
    }

    /// Returns the number of accepted bytes, all of which readers can read.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shared().lock().tail.end()
    }

    /// Waits until the log has at least `len` bytes. Returns `false` if it ended before.
    ///
    /// Unlike a reader, the task is not woken by writes before that.
    ///
    /// ```
    /// # use runtime_ioext::FollowedLog;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// let log = FollowedLog::create(folder.path().join("task.log"))?;
    /// log.writer().write_all(b"a line\n")?;
    /// assert!(log.wait_for_len(7).await);
    /// log.close()?;
    /// assert!(!log.wait_for_len(8).await);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn wait_for_len(&self, len: u64) -> bool {
        let mut waiter = LengthWaiter::new(Arc::clone(self.shared()));
        std::future::poll_fn(|cx| waiter.poll(len, cx)).await
    }

    /// Returns whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared().path
    }

    fn shared(&self) -> &Arc<SharedLog> {
        &self.owner.shared
    }
}

impl fmt::Debug for FollowedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowedLog")
            .field("path", &self.path())
            .field("len", &self.len())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
