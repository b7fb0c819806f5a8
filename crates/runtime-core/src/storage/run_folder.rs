//! The folder of one process, with a lock that tells whether the process lives.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::remove_tree;

const PREFIX: &str = "run-";
const LOCK: &str = ".lock";

/// A folder that belongs to this process for as long as the lock in it is held.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    /// The operating system gives the lock back when the process ends, in whatever way.
    _lock: File,
}

impl RunFolder {
    /// Removes the folders of dead processes below `root` and makes one for this process.
    ///
    /// A lock on the root is held meanwhile, so that nobody takes a folder that has no lock *yet* for
    /// one whose owner is dead.
    pub(super) fn create(root: &Path) -> io::Result<Self> {
        let root_lock = File::create(root.join(LOCK))?;
        root_lock.lock()?;
        reap_stale(root)?;
        let path = private_folder(root, PREFIX)?;
        let lock = File::create_new(path.join(LOCK))?;
        lock.lock()?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // What resists is removed by the next worker.
        let _ = remove_tree(&self.path);
    }
}

fn reap_stale(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let is_run = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if is_run && is_abandoned(&path) {
            // One folder that resists must not keep the worker from starting; it is tried again next time.
            let _ = remove_tree(&path);
        }
    }
    Ok(())
}

/// A folder without a lock file is what a removal left half-way, so it is abandoned too.
fn is_abandoned(run: &Path) -> bool {
    match File::open(run.join(LOCK)) {
        Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Makes a folder with a name that nobody has, which only this user may enter.
pub(super) fn private_folder(parent: &Path, prefix: &str) -> io::Result<PathBuf> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(parent).map(tempfile::TempDir::keep)
}
