//! I/O for workers: a file-backed log that many follow, pipes, bounded reads, copies that tell read from write errors.

mod sys;

pub mod log;

pub use log::{FollowedLog, LogReader, LogWriter};
