//! Temporary files and folders that are removed even after a crash.
//!
//! A [`TemporaryStorage`] creates a *process folder* below its root and holds a lock in it. All files and
//! folders are inside, and are removed when their handles are dropped. A killed worker removes nothing, so
//! the next worker that starts on the same root removes every process folder whose lock is free.

mod process_folder;
mod quota;
mod remove;

pub use quota::{ReserveStorageError, StorageReservation};
pub use remove::remove_tree;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use process_folder::ProcessFolder;
use quota::Quota;

/// A root for temporary files and folders. Cheap to clone; clones share the process folder.
///
/// ```
/// # use runtime_core::TemporaryStorage;
/// # let root = tempfile::tempdir()?;
/// let storage = TemporaryStorage::open(root.path())?;
/// let folder = storage.new_folder("task")?;
/// let path = folder.path().to_owned();
/// std::fs::write(path.join("notes"), "temporary")?;
/// drop(folder);
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TemporaryStorage {
    run: Arc<ProcessFolder>,
    quota: Arc<Quota>,
}

/// Options of a [`TemporaryStorage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// Maximum of all [reservations](TemporaryStorage::reserve) in bytes; unlimited by default.
    pub quota: Option<u64>,
    /// Maximum time to wait for the lock of the root, which another worker holds briefly during its start.
    /// Default: 10 s.
    pub lock_wait: Duration,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self {
            quota: None,
            lock_wait: Duration::from_secs(10),
        }
    }
}

impl TemporaryStorage {
    /// Creates `root` if needed, removes the process folders of dead processes, and creates a process folder.
    ///
    /// Blocks during all of these steps. Removing the folders of a killed worker can take minutes.
    ///
    /// # Errors
    ///
    /// An [`OpenStorageError`] if `root` is not writable, or if its lock is not released in time.
    pub fn open(root: &Path) -> Result<Self, OpenStorageError> {
        Self::open_with(root, StorageOptions::default())
    }

    /// Like [`open`](Self::open), with options.
    ///
    /// # Errors
    ///
    /// An [`OpenStorageError`] if `root` is not writable, or if its lock is not released in time.
    pub fn open_with(root: &Path, options: StorageOptions) -> Result<Self, OpenStorageError> {
        let wrap = |source| OpenStorageError::Unusable {
            root: root.to_owned(),
            source,
        };
        fs::create_dir_all(root).map_err(wrap)?;
        let run = ProcessFolder::create(root, options.lock_wait).map_err(wrap)?;
        let run = run.ok_or_else(|| OpenStorageError::Locked {
            root: root.to_owned(),
            waited: options.lock_wait,
        })?;
        Ok(Self {
            run: Arc::new(run),
            quota: Arc::new(Quota::new(root, options.quota)),
        })
    }

    /// Reserves disk space before it is used. Counts against the quota and the free disk space.
    ///
    /// Unlike [`ResourceTracker::reserve`](runtime_gc::ResourceTracker::reserve), this disposes of nothing.
    /// Bytes written without a reservation do not count against the quota.
    ///
    /// # Errors
    ///
    /// A [`ReserveStorageError`] that names the exhausted limit.
    pub fn reserve(&self, bytes: u64) -> Result<StorageReservation, ReserveStorageError> {
        let path = self.path();
        self.quota.reserve(path.parent().unwrap_or(path), bytes)
    }

    /// Returns the process folder, which contains all files and folders of this storage.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.run.path()
    }

    /// Creates an empty folder with mode 0700 and a unique name that starts with `name`.
    ///
    /// # Errors
    ///
    /// The error of the operating system; `InvalidInput` if `name` contains a path separator.
    pub fn new_folder(&self, name: &str) -> io::Result<TemporaryFolder> {
        check_name(name)?;
        let path = process_folder::private_folder(self.path(), &format!("{name}-"))?;
        Ok(TemporaryFolder {
            path: Some(path),
            _run: Arc::clone(&self.run),
        })
    }

    /// Creates an empty file with mode 0600 and a unique name that starts with `name`.
    ///
    /// # Errors
    ///
    /// The error of the operating system; `InvalidInput` if `name` contains a path separator.
    pub fn new_file(&self, name: &str) -> io::Result<TemporaryFile> {
        check_name(name)?;
        let (_, path) = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempfile_in(self.path())?
            .keep()?;
        Ok(TemporaryFile {
            path,
            _run: Arc::clone(&self.run),
        })
    }
}

/// Refuses names with separators, which would lead out of the process folder: a name may be from a payload.
fn check_name(name: &str) -> io::Result<()> {
    if name.contains(['/', '\\', '\0']) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("invalid file name prefix {name:?}: it contains a path separator"),
        ));
    }
    Ok(())
}

/// The error of opening a [`TemporaryStorage`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStorageError {
    /// The root is not a writable folder.
    #[error("cannot keep temporary files in `{}`; is it a folder that this user may write?", root.display())]
    Unusable {
        /// The root.
        root: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },

    /// Another process holds the lock of the root.
    #[error(
        "cannot keep temporary files in `{0}`: another process has held the lock `{0}/.lock` for {1} s; \
         end the worker that hangs during its start, or choose another folder",
        root.display(), waited.as_secs_f64()
    )]
    Locked {
        /// The root.
        root: PathBuf,
        /// How long the lock was awaited.
        waited: Duration,
    },
}

/// A temporary folder, removed with its content on drop.
#[derive(Debug)]
pub struct TemporaryFolder {
    path: Option<PathBuf>,
    // The process folder and its lock exist until the last of its contents is dropped.
    _run: Arc<ProcessFolder>,
}

impl TemporaryFolder {
    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Removes the folder and returns errors, which a drop ignores.
    ///
    /// # Errors
    ///
    /// The error of the operating system. Remaining files are removed with the process folder or by the next
    /// worker.
    pub fn remove(mut self) -> io::Result<()> {
        // Taken, so that the drop does not repeat a failed removal.
        self.path.take().map_or(Ok(()), |path| remove_tree(&path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // Files that cannot be removed now are removed with the process folder, or by the next worker.
        if let Some(path) = self.path.take() {
            let _ = remove_tree(&path);
        }
    }
}

/// A temporary file, removed on drop.
#[derive(Debug)]
pub struct TemporaryFile {
    path: PathBuf,
    _run: Arc<ProcessFolder>,
}

impl TemporaryFile {
    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file for reading and writing.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub fn open(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(&self.path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // The file may have been moved away by its user, which is allowed.
        let _ = fs::remove_file(&self.path);
    }
}
