//! Temporary files and folders that vanish, also after a crash.
//!
//! A [`TemporaryStorage`] owns one *run folder* below its root and holds a lock in it. Files and
//! folders live there and are removed when dropped. A worker that is killed cannot remove anything;
//! the next one that starts on the same root finds run folders whose lock nobody holds and removes them.

mod remove;
mod run_folder;

pub use remove::remove_tree;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
}

impl TemporaryStorage {
    /// Makes `root` if needed, removes what dead processes left below it, and makes a run folder.
    ///
    /// # Errors
    ///
    /// An [`OpenStorageError`] if `root` cannot be made or written.
    pub fn open(root: &Path) -> Result<Self, OpenStorageError> {
        let wrap = |source| OpenStorageError {
            root: root.to_owned(),
            source,
        };
        fs::create_dir_all(root).map_err(wrap)?;
        RunFolder::create(root)
            .map(|run| Self { run: Arc::new(run) })
            .map_err(wrap)
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
#[error("cannot keep temporary files in `{}`; is it a folder that this user may write?", root.display())]
#[non_exhaustive]
pub struct OpenStorageError {
    /// The root that was asked for.
    pub root: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
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
