//! A log in a file, which many write to and many follow.
//!
//! [`FollowedLog`] is the log, [`LogWriter`] appends to it, and [`LogReader`] follows it from the start or
//! an offset.
//!
//! Between the output of a child process and the log stand adaptors, each useful alone. They are put
//! together from the log on:
//!
//! | adaptor | does |
//! | --- | --- |
//! | [`RedactingWriter`] | replaces secrets, however they are split or encoded |
//! | [`LineWriter`] | keeps lines whole that come in pieces |
//! | [`OutputLimitWriter`] | keeps the head and the tail of too much output |
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
//! log.writer().write_all(b"a line of the worker's own\n")?;
//! log.close()?;
//! let text = std::fs::read_to_string(&path)?;
//! assert_eq!(text, "login with [REDACTED]\nok\na line of the worker's own\n");
//! # Ok(())
//! # }
//! ```
//!
//! # What goes wrong, and who hears of it
//!
//! | what | writers | `close`, `extract` | readers |
//! | --- | --- | --- | --- |
//! | the disk is full, or fails | an error on a later call, and on every one after | the same error | everything that was accepted, then the error |
//! | everything that writes is dropped without a close | | | everything, then [`ReadLogError::Abandoned`] |
//! | somebody else cuts the file short | | [`ExtractLogError::Changed`] | [`ReadLogError::Truncated`] |
//! | a reader is slow, or goes away | nothing | nothing | it lags |
//!
//! # Memory
//!
//! At most 4 MiB of a log are pending in memory, whatever its size; then writers wait for the disk. A call
//! with more bytes than that is copied in pieces, and others wait until it is through. A reader costs one
//! buffer of 64 KiB at most.

mod backing;
mod core;
mod error;
mod fetch;
mod flush;
mod limit;
mod limits;
mod lines;
mod queued;
mod reader;
mod redact;
mod sink;
mod state;
mod wakers;
mod writer;

#[cfg(all(test, runtime_loom))]
mod models;
#[cfg(test)]
mod test_backing;
#[cfg(all(test, not(runtime_loom)))]
mod tests;

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use self::backing::FileBacking;
use self::core::Core;
pub use self::error::{
    CloseLogError, CreateLogError, ExtractLogError, ReadLogError, WriteLogError,
};
pub use self::limit::{Dropped, OutputLimit, OutputLimitWriter};
use self::limits::Limits;
pub use self::lines::LineWriter;
pub use self::reader::LogReader;
pub use self::redact::{RedactingWriter, Redactor, SecretTooShort};
pub use self::sink::LogSink;
use self::state::End;
pub use self::writer::LogWriter;

/// A log in a file, which many write to and many follow. Clones are the same log.
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

/// What the log and its writers share. When the last of them goes, nobody is left to close the log.
struct Owner {
    core: Arc<Core>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.core.end(End::Abandoned);
    }
}

impl FollowedLog {
    /// Creates the file of a log, or empties it if there is one. On Unix only its owner may read a file
    /// that is created here.
    ///
    /// # Errors
    ///
    /// If the file cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, CreateLogError> {
        let path = path.as_ref().to_path_buf();
        let file = match options().open(&path) {
            Ok(file) => file,
            Err(source) => return Err(CreateLogError::Create { path, source }),
        };
        let core = Core::new(path, Box::new(FileBacking::new(file)), Limits::ORDINARY);
        Ok(Self::over(core))
    }

    fn over(core: Core) -> Self {
        Self {
            owner: Arc::new(Owner {
                core: Arc::new(core),
            }),
        }
    }

    /// A writer. The log is open while it or any writer exists, until it is [closed](Self::close).
    #[must_use]
    pub fn writer(&self) -> LogWriter {
        LogWriter::new(Arc::clone(&self.owner))
    }

    /// A reader from the first byte on.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        self.reader_at(0)
    }

    /// A reader from an offset on, which may be past what is written yet.
    #[must_use]
    pub fn reader_at(&self, offset: u64) -> LogReader {
        LogReader::new(Arc::clone(self.core()), offset)
    }

    /// Refuses more writes, moves what is pending to the file, and tells readers that this is all.
    ///
    /// After `Ok` every byte is in the file, and readers end cleanly. Closing a closed log does nothing.
    /// This writes up to 4 MiB to the file in the calling thread.
    ///
    /// # Errors
    ///
    /// If the file took not all of it, now or earlier.
    pub fn close(&self) -> Result<(), CloseLogError> {
        self.core().close()
    }

    /// Whether the log was closed with everything in its file.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.core().lock().end, Some(End::Closed))
    }

    /// Opens the file of a closed log for reading, from the start, with a position of its own.
    ///
    /// # Errors
    ///
    /// If the log is not closed, if bytes are missing at its end because the disk failed, or if what is at
    /// the path cannot be opened or was changed by somebody else.
    pub fn extract(&self) -> Result<File, ExtractLogError> {
        let path = self.path().to_path_buf();
        match &self.core().lock().end {
            Some(End::Closed) => {}
            Some(End::Failed(source)) => {
                return Err(ExtractLogError::Failed {
                    path,
                    source: Arc::clone(source),
                });
            }
            _ => return Err(ExtractLogError::NotClosed { path }),
        }
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((actual, file)) if actual == self.len() => Ok(file),
            Ok((actual, _)) => Err(ExtractLogError::Changed {
                path,
                expected: self.len(),
                actual,
            }),
            Err(source) => Err(ExtractLogError::Open { path, source }),
        }
    }

    /// How many bytes were accepted so far. Readers can get all of them.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.core().lock().tail.end()
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.core().path
    }

    fn core(&self) -> &Arc<Core> {
        &self.owner.core
    }
}

fn options() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
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
