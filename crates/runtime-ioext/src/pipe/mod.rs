//! In-process pipes, whose halves can pass an error to each other.
//!
//! | end of one half | effect on the other half |
//! | --- | --- |
//! | the writer is closed or shut down | the reader returns the unread bytes, then the end |
//! | the writer is closed with an error | the reader returns the unread bytes, then [`PipeReadError::Failed`] |
//! | the writer is dropped | the reader returns the unread bytes, then [`PipeReadError::WriterDropped`] |
//! | the reader is closed with an error | writes fail with [`PipeWriteError::Failed`] |
//! | the reader is dropped | writes fail with [`PipeWriteError::ReaderDropped`] |
//!
//! The first end of a half counts: dropping a closed half changes nothing. The async traits of tokio wrap these
//! errors in an [`io::Error`](std::io::Error), which keeps the kind of the passed error.

mod bounded;
mod credit;
mod error;

#[cfg(all(test, runtime_loom))]
mod models;

pub use bounded::{BoundedReader, BoundedWriter, PipeStats, bounded_pipe};
pub use credit::{Credit, CreditReader, CreditWriter, credit_pipe};
pub use error::{PipeReadError, PipeWriteError};
