//! The folder of one process, with a lock that shows whether the process still runs.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runtime_gc::error_chain;
use runtime_ioext::remove_tree;

use crate::clock::instant_after;

const PREFIX: &str = "run-";
const LOCK: &str = ".lock";

/// Poll interval for the lock of the root: file locks have no wait with a timeout.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The folder of this process. Other processes do not remove it while the lock in it is held.
#[derive(Debug)]
pub(super) struct ProcessFolder {
    path: PathBuf,
    /// Released by the operating system however the process ends. A file with the process id would not be:
    /// after a crash, another process may have that id.
    _lock: File,
}

impl ProcessFolder {
    /// Removes the folders of dead processes below `root` and creates a new one; `None` if the lock of
    /// the root is not released within `wait`.
    ///
    /// Two locks are needed. The lock in a process folder shows that its owner is alive. But a new folder
    /// exists before its lock does, and a worker that starts at that moment would remove it as abandoned. The
    /// lock of the root excludes this: it is held until the new folder and all abandoned ones are locked. It
    /// is not held during the removal, which may take minutes and would delay the start of other workers.
    ///
    /// `before_removal` is called with the abandoned folders, if there are any, before the first one is removed.
    pub(super) fn create(
        root: &Path,
        wait: Duration,
        before_removal: impl FnOnce(&[&Path]),
    ) -> io::Result<Option<Self>> {
        let root_lock = File::create(root.join(LOCK))?;
        if !lock_within(&root_lock, wait)? {
            return Ok(None);
        }
        let abandoned = abandoned(root)?;
        let path = private_folder(root, PREFIX)?;
        let lock = File::create_new(path.join(LOCK))?;
        lock.lock()?;
        // Nothing competes for this lock: others look for it only under the lock of the root.
        drop(root_lock);
        if !abandoned.is_empty() {
            let paths: Vec<_> = abandoned.iter().map(|(path, _)| path.as_path()).collect();
            before_removal(&paths);
        }
        for (path, _lock) in abandoned {
            // A folder that cannot be removed must not prevent the start; the next worker retries.
            remove_or_warn(&path);
        }
        Ok(Some(Self { path, _lock: lock }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ProcessFolder {
    fn drop(&mut self) {
        // The next worker removes the rest.
        remove_or_warn(&self.path);
    }
}

/// Removes a folder, and logs an error, since its caller can do nothing about it.
pub(super) fn remove_or_warn(path: &Path) {
    if let Err(error) = remove_tree(path) {
        let error = error_chain(&error);
        tracing::warn!(%error, "temporary files remain");
    }
}

/// Locks a file within `wait`; returns whether it succeeded.
#[expect(
    clippy::disallowed_methods,
    reason = "opening a storage blocks, as its documentation says"
)]
fn lock_within(file: &File, wait: Duration) -> io::Result<bool> {
    let deadline = instant_after(Instant::now(), wait);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(false),
            Err(TryLockError::WouldBlock) => std::thread::sleep(POLL_INTERVAL),
        }
    }
}

/// Returns the process folders below `root` whose owners are dead, each with its lock taken, so that a worker
/// that starts next does not remove them too.
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
            // The owner died during the removal of its folder, or just before it created the lock.
            Err(error) if error.kind() == io::ErrorKind::NotFound => abandoned.push((path, None)),
            Err(_) => {}
        }
    }
    Ok(abandoned)
}

/// Creates a folder with a unique name and mode 0700.
pub(super) fn private_folder(parent: &Path, prefix: &str) -> io::Result<PathBuf> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(parent).map(tempfile::TempDir::keep)
}
