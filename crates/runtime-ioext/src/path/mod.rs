//! Checks of untrusted paths, and files opened inside a folder.

mod relative;
mod root;

use std::fs::{Metadata, symlink_metadata};
use std::path::Path;

pub use relative::{RelativePathError, relative_path};
pub use root::{OpenInRootError, Root, open_without_symlinks};

/// Returns whether a path is a plain file: not a folder, device, pipe or symlink.
///
/// Returns `false` on errors. The path may change after the check. To check the same file that is read, check
/// the metadata of the opened file, or open it in a [`Root`].
#[must_use]
pub fn is_plain_file(path: impl AsRef<Path>) -> bool {
    plain(path.as_ref()).is_some()
}

/// Returns whether metadata is of a plain file: not of a folder, device, pipe or symlink.
///
/// The metadata must be of the path itself, from [`symlink_metadata`] or [`DirEntry::metadata`], or of an
/// [open file](std::fs::File::metadata): [`std::fs::metadata`] follows a symlink and returns its target.
///
/// [`DirEntry::metadata`]: std::fs::DirEntry::metadata
///
/// # Example
///
/// ```
/// use runtime_ioext::is_plain_file_metadata;
///
/// # fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("a"), "a")?;
/// for entry in std::fs::read_dir(folder.path())? {
///     assert!(is_plain_file_metadata(&entry?.metadata()?));
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn is_plain_file_metadata(metadata: &Metadata) -> bool {
    metadata.is_file()
}

/// Returns whether a path is a [plain file](is_plain_file) of less than `size` bytes.
#[must_use]
pub fn is_file_less_than(path: impl AsRef<Path>, size: u64) -> bool {
    plain(path.as_ref()).is_some_and(|metadata| metadata.len() < size)
}

fn plain(path: &Path) -> Option<Metadata> {
    symlink_metadata(path).ok().filter(is_plain_file_metadata)
}
