//! The files of an ended task.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::BoxError;
use tokio::io::AsyncRead;

/// A plain file of an ended task.
#[derive(Clone)]
#[non_exhaustive]
pub enum TaskFile {
    /// A file on this machine, at an absolute path without symbolic links, as after `canonicalize`.
    Local(PathBuf),
    /// A file elsewhere, such as in a virtual machine.
    Remote(Arc<dyn RemoteFile>),
}

impl fmt::Debug for TaskFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Remote(_) => f.write_str("a remote file"),
        }
    }
}

/// A file that is not on this machine.
#[async_trait]
pub trait RemoteFile: Send + Sync {
    /// Opens the file at its start. Each call returns another stream.
    ///
    /// # Errors
    ///
    /// An error whose kind tells about the file becomes an error artifact and fails the task:
    /// [`NotFound`](io::ErrorKind::NotFound), [`PermissionDenied`](io::ErrorKind::PermissionDenied),
    /// [`IsADirectory`](io::ErrorKind::IsADirectory), [`NotADirectory`](io::ErrorKind::NotADirectory),
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) and [`InvalidFilename`](io::ErrorKind::InvalidFilename). Any other
    /// error, and every error of the stream, is one of the transfer: the run ends as `resource-unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    async fn open(&self) -> io::Result<Box<dyn AsyncRead + Send + Unpin>>;
}

/// The files in a folder of an ended task and in its subfolders.
///
/// A list and not a stream: the number of entries is bounded, and all are needed before the first is uploaded, because
/// a folder that exceeds the bound is not uploaded at all.
#[derive(Debug, Default)]
pub struct FolderWalk {
    /// The plain files, including those that links inside of the task's files lead to, and the subfolders that cannot be
    /// read.
    pub files: Vec<WalkedFile>,
    /// The links that were not followed, relative to the folder, each with the reason, such as `leads nowhere`.
    pub skipped_links: Vec<(PathBuf, String)>,
    /// Whether there are more entries than the limit, so that some are missing.
    pub is_truncated: bool,
}

/// A file in a folder of an ended task.
#[derive(Debug)]
pub struct WalkedFile {
    /// The path relative to the folder.
    pub path: PathBuf,
    /// The file, or the error of a subfolder that cannot be read.
    pub file: io::Result<TaskFile>,
}

/// The reason why a path of a task could not be extracted. `path` is as the task's author wrote it.
///
/// All but [`Failed`](Self::Failed) become an error artifact and fail the task.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The path does not exist.
    #[error("`{path}` does not exist")]
    Missing {
        /// The requested path.
        path: String,
    },

    /// The path is outside of the task's files.
    #[error("`{path}` leads out of the folder of the task")]
    Outside {
        /// The requested path.
        path: String,
    },

    /// The operating system denied access.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// The requested path.
        path: String,
        /// The error of the operating system.
        source: std::io::Error,
    },

    /// The path is something other than a plain file.
    #[error("`{path}` is not a plain file")]
    NotAFile {
        /// The requested path.
        path: String,
    },

    /// The path is something other than a folder.
    #[error("`{path}` is not a directory")]
    NotAFolder {
        /// The requested path.
        path: String,
    },

    /// The files of the task are not on this machine.
    #[error("`{path}` is not on the machine of the worker")]
    NotLocal {
        /// The requested path.
        path: String,
    },

    /// The engine failed, for example because its connection to a virtual machine broke. The task is not the reason, and
    /// the run ends as `resource-unavailable`.
    #[error("the engine cannot read `{path}`")]
    Failed {
        /// The requested path.
        path: String,
        /// The error of the engine.
        source: BoxError,
    },
}
