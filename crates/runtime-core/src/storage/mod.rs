//! Temporary files and folders that vanish, also after a crash.
//!
//! A [`TemporaryStorage`] owns one *run folder* below its root and holds a lock in it. Files and
//! folders live there and are removed when dropped. A worker that is killed cannot remove anything;
//! the next one that starts on the same root finds run folders whose lock nobody holds and removes them.

mod remove;
mod room;
mod run_folder;

pub use remove::remove_tree;
pub use room::{ReserveStorageError, StorageReservation};

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use room::Room;
use run_folder::RunFolder;

/// A place for temporary files and folders. A clone is cheap and shares the place.
///
/// ```
/// # use runtime_core::TemporaryStorage;
/// # let root = tempfile::tempdir()?;
/// let storage = TemporaryStorage::open(root.path())?;
/// let folder = storage.new_folder("task")?;
/// let path = folder.path().to_owned();
/// std::fs::write(path.join("notes"), "gone soon")?;
/// drop(folder);
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TemporaryStorage {
    run: Arc<RunFolder>,
    room: Arc<Room>,
}

/// What can be told of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// How many bytes may be [reserved](TemporaryStorage::reserve) in all; by default any number.
    pub quota: Option<u64>,
    /// How long to wait for another process that opens a storage on the same root. It holds the root's
    /// lock only while it looks for what dead processes left. Default: 10 s.
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
    /// Makes `root` if needed, removes what dead processes left below it, and makes a run folder.
    ///
    /// It blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// An [`OpenStorageError`] if `root` cannot be made or written, or its lock does not come free.
    pub fn open(root: &Path) -> Result<Self, OpenStorageError> {
        Self::open_with(root, StorageOptions::default())
    }

    /// The same with options of your own.
    ///
    /// # Errors
    ///
    /// An [`OpenStorageError`] if `root` cannot be made or written, or its lock does not come free.
    pub fn open_with(root: &Path, options: StorageOptions) -> Result<Self, OpenStorageError> {
        let wrap = |source| OpenStorageError::Unusable {
            root: root.to_owned(),
            source,
        };
        fs::create_dir_all(root).map_err(wrap)?;
        let run = RunFolder::create(root, options.lock_wait).map_err(wrap)?;
        let run = run.ok_or_else(|| OpenStorageError::Locked {
            root: root.to_owned(),
            waited: options.lock_wait,
        })?;
        Ok(Self {
            run: Arc::new(run),
            room: Arc::new(Room::new(root, options.quota)),
        })
    }

    /// Promises room for so many bytes, before they are written: within the quota, and on the disk.
    ///
    /// Nothing is freed for it, unlike by [`ResourceTracker::reserve`](runtime_gc::ResourceTracker::reserve), and
    /// who writes without a reservation is not counted.
    ///
    /// # Errors
    ///
    /// A [`ReserveStorageError`] that says what is in the way.
    pub fn reserve(&self, bytes: u64) -> Result<StorageReservation, ReserveStorageError> {
        let path = self.path();
        self.room.reserve(path.parent().unwrap_or(path), bytes)
    }

    /// The run folder, which all temporary files and folders of this storage are in.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.run.path()
    }

    /// Makes an empty folder that only this user may enter; its name starts with `name`.
    ///
    /// # Errors
    ///
    /// What the operating system says, and if `name` is more than a part of a name.
    pub fn new_folder(&self, name: &str) -> io::Result<TemporaryFolder> {
        check_name(name)?;
        let path = run_folder::private_folder(self.path(), &format!("{name}-"))?;
        Ok(TemporaryFolder {
            path: Some(path),
            _run: Arc::clone(&self.run),
        })
    }

    /// Makes an empty file that only this user may read; its name starts with `name`.
    ///
    /// # Errors
    ///
    /// What the operating system says, and if `name` is more than a part of a name.
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

/// Names may come from a payload, and must not lead out of the run folder.
fn check_name(name: &str) -> io::Result<()> {
    match name.contains(['/', '\\', '\0']) {
        true => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name:?} cannot be a part of a file's name"),
        )),
        false => Ok(()),
    }
}

/// A root for temporary files could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStorageError {
    /// It cannot be made or written.
    #[error("cannot keep temporary files in `{}`; is it a folder that this user may write?", root.display())]
    Unusable {
        /// The root that was asked for.
        root: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// Another process keeps the root to itself.
    #[error(
        "cannot keep temporary files in `{0}`: another process has held the lock `{0}/.lock` for {1} s; \
         end the worker that hangs there while it starts, or choose another folder",
        root.display(), waited.as_secs_f64()
    )]
    Locked {
        /// The root that was asked for.
        root: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
}

/// A folder that is removed with all that is in it when this is dropped.
#[derive(Debug)]
pub struct TemporaryFolder {
    path: Option<PathBuf>,
    _run: Arc<RunFolder>,
}

impl TemporaryFolder {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Removes the folder now and tells how that went, which dropping cannot.
    ///
    /// # Errors
    ///
    /// What the operating system says. What is left goes when the storage is dropped or reaped.
    pub fn remove(mut self) -> io::Result<()> {
        self.path.take().map_or(Ok(()), |path| remove_tree(&path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // Whatever cannot be removed now is removed with the run folder, or by the next worker.
        if let Some(path) = self.path.take() {
            let _ = remove_tree(&path);
        }
    }
}

/// A file that is removed when this is dropped.
#[derive(Debug)]
pub struct TemporaryFile {
    path: PathBuf,
    _run: Arc<RunFolder>,
}

impl TemporaryFile {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for reading and writing.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn open(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(&self.path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // A file that was moved away is no longer ours to remove.
        let _ = fs::remove_file(&self.path);
    }
}
