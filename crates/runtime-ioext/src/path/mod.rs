//! Paths that come from somewhere else.

mod relative;
mod root;

use std::fs::{Metadata, symlink_metadata};
use std::path::Path;

pub use relative::{RelativePathError, relative_path};
pub use root::{OpenInRootError, Root, open_without_symlinks};

/// Whether a path is a plain file: no folder, no device, no pipe, and no symlink, whatever that points to.
///
/// It is `false` if that cannot be told. Somebody may change the path after the look; to be sure of what is
/// read, open it and ask the open file, or open it in a [`Root`].
#[must_use]
pub fn is_plain_file(path: impl AsRef<Path>) -> bool {
    plain(path.as_ref()).is_some()
}

/// Whether a path is a [plain file](is_plain_file) of less than `size` bytes. A symlink is none, neither by
/// its own size nor by that of what it points to.
#[must_use]
pub fn is_file_less_than(path: impl AsRef<Path>, size: u64) -> bool {
    plain(path.as_ref()).is_some_and(|metadata| metadata.len() < size)
}

fn plain(path: &Path) -> Option<Metadata> {
    symlink_metadata(path).ok().filter(Metadata::is_file)
}
