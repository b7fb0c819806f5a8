//! Temporary files and folders that are removed even after a crash.
//!
//! A [`TemporaryStorage`] creates a *process folder* below its root and holds a lock in it. All files and
//! folders are inside, and are removed when their handles are dropped. A killed worker removes nothing, so
//! the next worker that starts on the same root removes every process folder whose lock is free.
//!
//! A [`TemporaryFolder`] is a storage inside the storage, and a [`TemporaryFile`] is an open file.

mod error;
mod file;
mod folder;
mod owned_path;
mod process_folder;
mod quota;

pub use error::OpenStorageError;
pub use file::TemporaryFile;
pub use folder::TemporaryFolder;
pub use quota::{ReserveStorageError, StorageReservation};

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use process_folder::ProcessFolder;
use quota::Quota;
use uuid::Uuid;

/// A place for temporary files and folders: the process folder, or a [`TemporaryFolder`] inside it.
///
/// Cheap to clone; clones share the folder, the quota and its reservations.
///
/// ```
/// # use runtime_core::TemporaryStorage;
/// # use std::io::Write as _;
/// # let root = tempfile::tempdir()?;
/// let storage = TemporaryStorage::open(root.path())?;
/// let folder = storage.new_folder("task")?;
/// let mut file = folder.new_file("notes")?;
/// file.write_all(b"temporary")?;
/// let socket = folder.new_file_path("socket")?;
/// std::fs::write(&socket, "")?;
///
/// drop(folder);
/// assert!(!file.path().exists() && !socket.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TemporaryStorage {
    path: Arc<Path>,
    // The process folder and its lock exist until the last storage, folder or file in it is dropped.
    process_folder: Arc<ProcessFolder>,
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
        Self::open_with_cleanup(root, options, |_| ())
    }

    /// Like [`open_with`](Self::open_with), and calls `before_removal` with the process folders of dead processes before
    /// they are removed. It is not called if there are none.
    ///
    /// A dead worker may have left processes running that write into its folder, and that should be ended first.
    ///
    /// # Errors
    ///
    /// An [`OpenStorageError`] if `root` is not writable, or if its lock is not released in time.
    pub fn open_with_cleanup(
        root: &Path,
        options: StorageOptions,
        before_removal: impl FnOnce(&[&Path]),
    ) -> Result<Self, OpenStorageError> {
        let wrap = |source| OpenStorageError::Unusable {
            root: root.to_owned(),
            source,
        };
        fs::create_dir_all(root).map_err(wrap)?;
        let run = ProcessFolder::create(root, options.lock_wait, before_removal);
        let run = run.map_err(wrap)?;
        let run = run.ok_or_else(|| OpenStorageError::Locked {
            root: root.to_owned(),
            waited: options.lock_wait,
        })?;
        Ok(Self {
            path: Arc::from(run.path()),
            process_folder: Arc::new(run),
            quota: Arc::new(Quota::new(root, options.quota)),
        })
    }

    /// Reserves disk space before it is used. Counts against the quota and the free disk space, which all folders
    /// of a storage share.
    ///
    /// Unlike [`ResourceTracker::reserve`](runtime_gc::ResourceTracker::reserve), this disposes of nothing.
    /// Bytes written without a reservation do not count against the quota.
    ///
    /// # Errors
    ///
    /// A [`ReserveStorageError`] that names the exhausted limit.
    pub fn reserve(&self, bytes: u64) -> Result<StorageReservation, ReserveStorageError> {
        self.quota.reserve(bytes)
    }

    /// Returns the folder that contains all files and folders of this storage.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates an empty folder with mode 0700 and a unique name that starts with `name`.
    ///
    /// # Errors
    ///
    /// The error of the operating system; `InvalidInput` if `name` contains a path separator.
    pub fn new_folder(&self, name: &str) -> io::Result<TemporaryFolder> {
        check_name(name)?;
        let path = process_folder::private_folder(self.path(), &format!("{name}-"))?;
        Ok(TemporaryFolder::new(Self {
            path: path.into(),
            ..self.clone()
        }))
    }

    /// Creates an empty file with mode 0600 and a unique name that starts with `name`, open for reading and writing.
    ///
    /// # Errors
    ///
    /// The error of the operating system; `InvalidInput` if `name` contains a path separator.
    pub fn new_file(&self, name: &str) -> io::Result<TemporaryFile> {
        check_name(name)?;
        let (file, path) = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempfile_in(self.path())?
            .keep()?;
        let process_folder = Arc::clone(&self.process_folder);
        Ok(TemporaryFile::new(file, path, process_folder))
    }

    /// Returns a unique path that starts with `name`, at which nothing exists yet.
    ///
    /// The path is for programs that create a file themselves, such as a socket or an archive. No handle owns the
    /// file: it is removed with this storage, unless its user removes it earlier.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `name` contains a path separator.
    pub fn new_file_path(&self, name: &str) -> io::Result<PathBuf> {
        check_name(name)?;
        // Random instead of counted: a task that writes in this folder cannot create the file first.
        Ok(self
            .path()
            .join(format!("{name}-{}", Uuid::new_v4().simple())))
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
