//! The errors of opening a root and of committing a folder.

use std::io;
use std::path::PathBuf;

/// The reason a folder cache could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCacheError {
    /// Another cache, in this process or another, has the root open.
    #[error(
        "the cache root `{}` is in use{}; use a separate root for each worker, or stop the other one",
        root.display(), by(*holder)
    )]
    Locked {
        /// The root.
        root: PathBuf,
        /// The id of the process that has it open, if it can be read.
        holder: Option<u32>,
    },
    /// Another version of this library wrote the root.
    #[error(
        "the cache root `{}` has the unknown format `{found}`; remove it, or use another root",
        root.display()
    )]
    Format {
        /// The root.
        root: PathBuf,
        /// The format of the root.
        found: String,
    },
    /// The root cannot be read or written.
    #[error("cannot read or write the cache root `{}`", root.display())]
    Io {
        /// The root.
        root: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

impl OpenCacheError {
    /// Returns whether a retry may succeed, once the other process has closed the root.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Locked { .. })
    }
}

fn by(holder: Option<u32>) -> String {
    holder.map_or_else(String::new, |id| format!(" by process {id}"))
}

/// The error of a commit that could not be recorded. The folder is removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot record the commit of `{}`; the folder is removed", path.display())]
#[non_exhaustive]
pub struct CommitError {
    /// The folder.
    pub path: PathBuf,
    /// The I/O error.
    pub source: io::Error,
}
