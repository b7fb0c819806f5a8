//! A path that is removed on drop.

use std::io;
use std::path::{Path, PathBuf};

use runtime_ioext::remove_tree;

use super::process_folder::remove_or_warn;

/// Owns a path and removes it on drop.
#[derive(Debug)]
pub(super) struct OwnedPath {
    path: PathBuf,
    removed: bool,
}

impl OwnedPath {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            removed: false,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the path now and returns errors, which a drop only logs.
    pub(super) fn remove(mut self) -> io::Result<()> {
        // Set even if the removal fails, so that the drop does not repeat it.
        self.removed = true;
        remove_tree(&self.path)
    }
}

impl Drop for OwnedPath {
    fn drop(&mut self) {
        if !self.removed {
            // What cannot be removed now is removed with the process folder, or by the next worker.
            remove_or_warn(&self.path);
        }
    }
}
