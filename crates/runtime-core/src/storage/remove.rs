//! Removal of folders whose content may be read-only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Removes a file, a link or a folder with its content; a missing path is not an error.
///
/// If the removal fails, the owner's permissions on all folders are restored and it is repeated: tasks may
/// leave folders without write permission. Links are removed, never followed.
///
/// # Errors
///
/// The error of the first entry that could not be removed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    // Changes permissions only after a failure: most trees need no second pass.
    let first = match remove(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => error,
    };
    make_removable(path).map_err(|_| first)?;
    remove(path)
}

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

    /// Removes the path now and returns errors, which a drop ignores.
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
            let _ = remove_tree(&self.path);
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

/// Grants the owner all permissions on every folder of a tree.
fn make_removable(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(());
    }
    grant_owner(path, metadata.permissions())?;
    for entry in fs::read_dir(path)? {
        make_removable(&entry?.path())?;
    }
    Ok(())
}

#[cfg(unix)]
fn grant_owner(path: &Path, mut permissions: fs::Permissions) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    permissions.set_mode(permissions.mode() | 0o700);
    fs::set_permissions(path, permissions)
}

#[cfg(not(unix))]
fn grant_owner(path: &Path, mut permissions: fs::Permissions) -> io::Result<()> {
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions)
}
