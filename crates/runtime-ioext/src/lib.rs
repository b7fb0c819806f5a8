//! I/O for workers: a file-backed log that many follow, pipes, bounded reads, copies that tell read from write errors.
//!
//! | you have | use |
//! | --- | --- |
//! | output that is kept and followed while it is written | [`FollowedLog`], and the adaptors in [`log`] |
//! | secrets that must not get there | [`log::Redactor`] |
//! | a sender that cannot wait, and a backlog that must end somewhere | [`bounded_pipe`] |
//! | a sender that may go on only as far as somebody else allows | [`credit_pipe`] |
//! | to know whether the source or the target of a copy failed | [`copy()`], [`copy_and_close`], [`copy_and_flush`] |
//! | input that may be too large | [`read_at_most`], [`bounded_read_all`], [`bounded_read_file`] |
//! | to know how far a reader is | [`TellReader`] |
//! | to hear of the first error or the end of a stream that somebody else uses | [`ObservedStream`] |
//! | a path from a task, and a folder that it must not leave | [`relative_path`], [`Root`] |
//! | to know what a path is without following a link | [`is_plain_file`], [`is_file_less_than`] |
//!
//! For a pipe whose writer waits for its reader use [`tokio::io::duplex`].
//!
//! # Example
//!
//! ```
//! use runtime_ioext::{BoundedReadError, read_at_most};
//!
//! # fn main() -> Result<(), BoundedReadError> {
//! assert_eq!(read_at_most(&b"small"[..], 5)?, b"small");
//! assert!(matches!(read_at_most(&b"larger"[..], 5), Err(BoundedReadError::TooLarge { limit: 5 })));
//! # Ok(())
//! # }
//! ```

mod chunks;
mod copy;
mod path;
mod pipe;
mod read;
mod sys;
mod watch;

pub mod log;

pub use copy::{CopyError, copy, copy_and_close, copy_and_flush};
pub use log::{FollowedLog, LogReader, LogWriter};
pub use path::{
    OpenInRootError, RelativePathError, Root, is_file_less_than, is_plain_file,
    open_without_symlinks, relative_path,
};
pub use pipe::{
    BoundedReader, BoundedWriteError, BoundedWriter, Credit, CreditReader, CreditWriter, PipeStats,
    bounded_pipe, credit_pipe,
};
pub use read::{
    BoundedReadError, BoundedReadFileError, TellReader, bounded_read_all, bounded_read_file,
    read_at_most,
};
pub use watch::{ObservedStream, StreamEnd};
