//! The folder of one process, with a lock that tells whether the process lives.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::remove_tree;

const PREFIX: &str = "run-";
const LOCK: &str = ".lock";

/// How often to look whether the lock of the root is free; a file lock has no wait that ends.
const POLL: Duration = Duration::from_millis(20);

/// A folder that belongs to this process for as long as the lock in it is held.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    /// The operating system gives the lock back when the process ends, in whatever way.
    _lock: File,
}

impl RunFolder {
    /// Removes the folders of dead processes below `root` and makes one for this process; `None` if the
    /// lock of the root does not come free within `wait`.
    ///
    /// That lock is held until this process has its folder and the locks of all that is abandoned, so that
    /// nobody takes a folder that has no lock *yet* for one whose owner is dead. Not while they are removed,
    /// which may take minutes.
    pub(super) fn create(root: &Path, wait: Duration) -> io::Result<Option<Self>> {
        let root_lock = File::create(root.join(LOCK))?;
        if !lock_within(&root_lock, wait)? {
            return Ok(None);
        }
        let abandoned = abandoned(root)?;
        let path = private_folder(root, PREFIX)?;
        let lock = File::create_new(path.join(LOCK))?;
        lock.lock()?;
        drop(root_lock);
        for (path, _lock) in abandoned {
            // One folder that resists must not keep the worker from starting; it is tried again next time.
            let _ = remove_tree(&path);
        }
        Ok(Some(Self { path, _lock: lock }))
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

/// Locks a file, unless somebody else has it locked for all of `wait`.
#[expect(
    clippy::disallowed_methods,
    reason = "opening a storage blocks, as its documentation says"
)]
fn lock_within(file: &File, wait: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(false),
            Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
        }
    }
}

/// The run folders below `root` whose owners are dead, each with its lock.
fn abandoned(root: &Path) -> io::Result<Vec<(PathBuf, Option<File>)>> {
    let mut abandoned = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with(PREFIX) {
            continue;
        }
        match File::open(path.join(LOCK)) {
            Ok(lock) if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) => {}
            Ok(lock) => abandoned.push((path, Some(lock))),
            // What a removal left half-way.
            Err(error) if error.kind() == io::ErrorKind::NotFound => abandoned.push((path, None)),
            Err(_) => {}
        }
    }
    Ok(abandoned)
}

/// Makes a folder with a name that nobody has, which only this user may enter.
pub(super) fn private_folder(parent: &Path, prefix: &str) -> io::Result<PathBuf> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(parent).map(tempfile::TempDir::keep)
}
