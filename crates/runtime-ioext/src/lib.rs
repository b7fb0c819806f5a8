//! Worker I/O: a file-backed log with followers, in-process pipes, bounded reads, confined paths and folders of any depth.
//!
//! | use case | item |
//! | --- | --- |
//! | output that is stored and followed while it is written | [`FollowedLog`], and the adaptors in [`log`] |
//! | redaction of secrets in output | [`log::Redactor`] |
//! | input of unknown size | [`read_at_most`], [`bounded_read_all`], [`bounded_read_file`] |
//! | an untrusted path, confined to a folder | [`relative_path`], [`Root`] |
//! | a path check that does not follow links | [`is_plain_file`], [`is_plain_file_metadata`], [`is_file_less_than`] |
//! | the removal or the size of a folder of any depth | [`remove_tree`], [`measure_tree`] |
//! | a copy that distinguishes errors of source and target | module [`copy`](mod@copy) |
//! | a sender that cannot wait, with a bounded backlog | [`pipe::bounded_pipe`] |
//! | a sender limited by the receiver's credit | [`pipe::credit_pipe`] |
//! | the position of a reader, even while a copy borrows it | [`stream::TellReader`] |
//! | a callback at the end or first error of a stream | [`stream::ObservedStream`] |
//!
//! For a pipe whose writer waits for its reader, use [`tokio::io::duplex`].
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

mod bounded_read;
mod path;
mod segments;
mod sys;
mod tree;

pub mod copy;
pub mod log;
pub mod pipe;
pub mod stream;

pub use bounded_read::{
    BoundedReadError, BoundedReadFileError, bounded_read_all, bounded_read_file, read_at_most,
};
pub use log::{FollowedLog, LogReader, LogWriter};
pub use path::{
    OpenInRootError, RelativePathError, Root, is_file_less_than, is_plain_file,
    is_plain_file_metadata, open_without_symlinks, relative_path,
};
pub use tree::{RemoveTreeError, TreeSize, measure_tree, remove_tree};
