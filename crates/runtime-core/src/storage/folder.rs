//! A folder of a storage, which is a storage itself.

use std::io;
use std::ops::Deref;

use super::TemporaryStorage;
use super::owned_path::OwnedPath;

/// A temporary folder, removed with its content on drop.
///
/// It owns a [`TemporaryStorage`] and dereferences to it: files, folders and paths are created inside the folder,
/// and `&TemporaryFolder` is accepted as `&TemporaryStorage`. Quota and reservations are those of the storage that
/// contains the folder.
///
/// Dropping the folder removes all of its content, including files and folders that other handles own. Clones of
/// its storage do not keep it alive: after the removal, their methods return the error `NotFound`.
///
/// ```
/// # use runtime_core::TemporaryStorage;
/// # let root = tempfile::tempdir()?;
/// # let storage = TemporaryStorage::open(root.path())?;
/// fn unpack(storage: &TemporaryStorage) -> std::io::Result<()> {
///     std::fs::write(storage.new_file_path("archive")?, "archive")
/// }
///
/// let task = storage.new_folder("task")?;
/// let inputs = task.new_folder("inputs")?;
/// assert!(inputs.path().starts_with(task.path()));
/// unpack(&inputs)?;
/// inputs.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TemporaryFolder {
    // Before the storage, which may remove the process folder.
    path: OwnedPath,
    storage: TemporaryStorage,
}

impl TemporaryFolder {
    pub(super) fn new(storage: TemporaryStorage) -> Self {
        Self {
            path: OwnedPath::new(storage.path().to_owned()),
            storage,
        }
    }

    /// Removes the folder and returns errors, which a drop only logs.
    ///
    /// # Errors
    ///
    /// The error of the operating system. Remaining files are removed with the process folder or by the next
    /// worker.
    pub fn remove(self) -> io::Result<()> {
        self.path.remove()
    }
}

impl Deref for TemporaryFolder {
    type Target = TemporaryStorage;

    fn deref(&self) -> &TemporaryStorage {
        &self.storage
    }
}
