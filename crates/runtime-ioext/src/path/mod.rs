//! Checks of untrusted paths, and files opened inside a folder.

mod relative;
mod root;

use std::fs::{Metadata, symlink_metadata};
use std::path::Path;

pub use relative::{RelativePathError, relative_path};
pub use root::{OpenInRootError, Root, open_without_symlinks};

/// Returns whether a path is a plain file: not a folder, device, pipe or symlink.
///
/// Returns `false` on errors. The path may change after the check. To be sure about the file that is
/// read, check the opened file, or open it in a [`Root`].
#[must_use]
pub fn is_plain_file(path: impl AsRef<Path>) -> bool {
    plain(path.as_ref()).is_some()
}

/// Returns whether a path is a [plain file](is_plain_file) of less than `size` bytes.
#[must_use]
pub fn is_file_less_than(path: impl AsRef<Path>, size: u64) -> bool {
    plain(path.as_ref()).is_some_and(|metadata| metadata.len() < size)
}

fn plain(path: &Path) -> Option<Metadata> {
    symlink_metadata(path).ok().filter(Metadata::is_file)
}
