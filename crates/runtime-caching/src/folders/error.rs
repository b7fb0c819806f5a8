//! What can go wrong with a root.

use std::io;
use std::path::PathBuf;

/// A root could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCacheError {
    /// Another cache, of this process or another, has it open.
    #[error(
        "the cache root `{}` is in use{}; give each worker a root of its own, or stop the other one",
        root.display(), by(*holder)
    )]
    Locked {
        /// The root.
        root: PathBuf,
        /// The id of the process that has it, if it can be read.
        holder: Option<u32>,
    },
    /// Another version wrote it.
    #[error(
        "the cache root `{}` has the format `{found}`, which this version does not know; remove it, or use another root",
        root.display()
    )]
    Format {
        /// The root.
        root: PathBuf,
        /// Its format.
        found: String,
    },
    /// It cannot be read or written.
    #[error("cannot use the cache root `{}`; is it a folder that this user may write?", root.display())]
    Io {
        /// The root.
        root: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl OpenCacheError {
    /// Whether it may work later without anybody's help: when the other one has ended.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Locked { .. })
    }
}

fn by(holder: Option<u32>) -> String {
    holder.map_or_else(String::new, |id| format!(" by process {id}"))
}

/// A folder could not be given back to be used again. It is removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot record that `{}` is fit to be used again, so it is removed", path.display())]
#[non_exhaustive]
pub struct CommitError {
    /// The folder.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}
