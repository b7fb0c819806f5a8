//! Removal of a folder with its content.

#[cfg(unix)]
mod unix;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use unix as system;

/// An entry that [`remove_tree`] could not remove, inside the [`io::Error`] that it returns.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove `{}`{}", path.display(), if *has_more { " and other entries" } else { "" })]
#[non_exhaustive]
pub struct RemoveTreeError {
    /// The first such entry. Entries of deep trees are moved up before they are removed, so it may be in a folder
    /// `.removing-<number>`.
    pub path: PathBuf,
    /// Whether there are further entries that could not be removed.
    pub has_more: bool,
    /// The error of the operating system.
    pub source: io::Error,
}

/// Removes a file, a symlink or a folder with its content. A missing path is not an error.
///
/// The depth of the tree is not limited: the removal holds up to 32 descriptors and needs little memory. Folders
/// without permissions for their owner receive them first, since tasks may leave such folders. Symlinks are
/// removed, never followed. An entry that cannot be removed does not stop the removal of the others.
///
/// Blocks, for minutes if the tree is large. Nothing should write to the tree meanwhile: an entry that is added
/// late may remain, which is an error.
///
/// # Errors
///
/// The error of the first entry that could not be removed. Its kind is that of the operating system, and its
/// inner error is a [`RemoveTreeError`].
///
/// # Example
///
/// ```
/// # let root = tempfile::tempdir()?;
/// let folder = root.path().join("task");
/// std::fs::create_dir_all(folder.join("a/b"))?;
/// runtime_ioext::remove_tree(&folder)?;
/// assert!(!folder.exists());
/// runtime_ioext::remove_tree(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let removed = fs::symlink_metadata(path).and_then(|metadata| {
        if metadata.is_dir() {
            return system::remove_folder(path);
        }
        fs::remove_file(path)
    });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.get_ref().is_none() => Err(wrap(path.to_owned(), false, error)),
        removed => removed,
    }
}

fn wrap(path: PathBuf, has_more: bool, source: io::Error) -> io::Error {
    let kind = source.kind();
    let error = RemoveTreeError {
        path,
        has_more,
        source,
    };
    io::Error::new(kind, error)
}

#[cfg(not(unix))]
mod system {
    use super::{Path, io};

    /// On Windows, `remove_dir_all` uses a loop, and removes read-only entries.
    pub(super) fn remove_folder(path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }
}
