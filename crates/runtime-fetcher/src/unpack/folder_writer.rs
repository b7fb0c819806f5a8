//! Writes the entries of an archive into a folder.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::entry_path::{entry_path, is_root, stays_inside};
use super::error::{EntryRejection, UnpackError};
use super::limits::{UnpackBudget, UnpackTotals};

/// A folder that is being filled with the entries of an archive.
///
/// Symlinks are created last. While files are written, the folder contains no symlink, so that no path can lead
/// out of it. Checking each path component for symlinks instead would cost a system call each, and `openat2` with
/// `RESOLVE_BENEATH` exists only on Linux.
pub(super) struct FolderWriter<'a> {
    root: PathBuf,
    budget: UnpackBudget<'a>,
    /// The folders created so far, relative to the root.
    folders: HashSet<PathBuf>,
    symlinks: Vec<Symlink>,
}

struct Symlink {
    /// The name in the archive, for messages.
    name: Vec<u8>,
    path: PathBuf,
    target: String,
}

/// The attributes of a file in an archive.
#[derive(Clone, Copy, Default)]
pub(super) struct Attributes {
    pub(super) mode: Option<u32>,
    pub(super) modified: Option<SystemTime>,
}

const BUFFER_BYTES: usize = 128 * 1024;

impl<'a> FolderWriter<'a> {
    pub(super) fn new(root: &Path, budget: UnpackBudget<'a>) -> Self {
        Self {
            root: root.to_owned(),
            budget,
            folders: HashSet::new(),
            symlinks: Vec::new(),
        }
    }

    /// Checks the number of entries before the first one.
    pub(super) fn check_entries(&self, entries: u64) -> Result<(), UnpackError> {
        self.budget.check_entries(entries)
    }

    /// Creates a folder, or sets the mode of an existing one.
    pub(super) fn folder(&mut self, name: &[u8], mode: Option<u32>) -> Result<(), UnpackError> {
        if is_root(name) {
            return Ok(());
        }
        let path = entry_path(name)?;
        self.create_folders(name, &path)?;
        match mode {
            Some(mode) => set_folder_mode(&self.root.join(path), mode),
            None => Ok(()),
        }
    }

    /// Creates a file with the given content.
    pub(super) fn file(
        &mut self,
        name: &[u8],
        attributes: Attributes,
        content: &mut dyn Read,
    ) -> Result<(), UnpackError> {
        let path = self.prepare_path(name)?;
        let created = create_file(&path, attributes.mode);
        let mut file = created.map_err(|error| self.creation_error(name, error))?;
        self.copy(content, &mut file, &path)?;
        if let Some(modified) = attributes.modified {
            // A time that the file system cannot store is ignored.
            let _ = file.set_modified(modified);
        }
        Ok(())
    }

    /// Records a symlink, which [`finish`](Self::finish) creates.
    pub(super) fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), UnpackError> {
        let reject = |rejection: EntryRejection| UnpackError::entry(name, rejection);
        if cfg!(not(unix)) {
            return Err(reject(EntryRejection::Kind("symlink (on this system)")));
        }
        let path = entry_path(name)?;
        let target = std::str::from_utf8(target).map_err(|_| reject(EntryRejection::NotText))?;
        if !stays_inside(&path, target) {
            let to = target.to_owned();
            return Err(reject(EntryRejection::Link { to }));
        }
        self.budget.count_entry()?;
        self.budget.count_name(name.len() + target.len())?;
        // Created at the end: no entry can be written through a symlink of the archive, whatever
        // their order.
        self.symlinks.push(Symlink {
            name: name.to_owned(),
            path,
            target: target.to_owned(),
        });
        Ok(())
    }

    /// Creates a hard link to an earlier file.
    pub(super) fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), UnpackError> {
        let reject = || {
            let to = String::from_utf8_lossy(target).into_owned();
            UnpackError::entry(name, EntryRejection::HardLink { to })
        };
        let original = entry_path(target).map_err(|_| reject())?;
        let original = self.root.join(original);
        // Symlinks do not exist yet, so a hard link to one is rejected here as well.
        if !runtime_ioext::is_plain_file(&original) {
            return Err(reject());
        }
        let path = self.prepare_path(name)?;
        fs::hard_link(original, path).map_err(|error| self.creation_error(name, error))
    }

    /// Creates the symlinks and returns the totals.
    pub(super) fn finish(mut self) -> Result<UnpackTotals, UnpackError> {
        for Symlink { name, path, target } in std::mem::take(&mut self.symlinks) {
            if let Some(parent) = path.parent() {
                // `create_dir` does not follow symlinks: a parent that is one is a conflict.
                self.create_folders(&name, parent)?;
            }
            let created = create_symlink(&target, &self.root.join(&path));
            created.map_err(|error| self.creation_error(&name, error))?;
        }
        Ok(self.budget.used())
    }

    /// Counts an entry, creates its parent folders, and returns its absolute path.
    fn prepare_path(&mut self, name: &[u8]) -> Result<PathBuf, UnpackError> {
        let path = entry_path(name)?;
        self.budget.count_entry()?;
        if let Some(parent) = path.parent() {
            self.create_folders(name, parent)?;
        }
        Ok(self.root.join(path))
    }

    /// Creates a folder and its parents, each of which counts as an entry.
    fn create_folders(&mut self, name: &[u8], path: &Path) -> Result<(), UnpackError> {
        if path.as_os_str().is_empty() || self.folders.contains(path) {
            return Ok(());
        }
        let mut folder = PathBuf::new();
        for component in path.components() {
            folder.push(component);
            if self.folders.contains(&folder) {
                continue;
            }
            self.budget.count_entry()?;
            self.budget.count_name(folder.as_os_str().len())?;
            let created = fs::create_dir(self.root.join(&folder));
            created.map_err(|error| self.creation_error(name, error))?;
            self.folders.insert(folder.clone());
        }
        Ok(())
    }

    fn copy(
        &mut self,
        content: &mut dyn Read,
        file: &mut File,
        path: &Path,
    ) -> Result<(), UnpackError> {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let read = match content.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(UnpackError::Corrupt(error)),
            };
            // Counted before the write, so that an archive never exceeds its limit on disk.
            self.budget.count_bytes(read as u64)?;
            let written = file.write_all(&buffer[..read]);
            written.map_err(|source| io_error("write", path, source))?;
        }
    }

    /// Returns the error of a failed creation: a rejected entry, or a failure of the machine.
    fn creation_error(&self, name: &[u8], error: io::Error) -> UnpackError {
        match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
                UnpackError::entry(name, EntryRejection::Conflict)
            }
            ErrorKind::InvalidFilename | ErrorKind::InvalidInput => {
                UnpackError::entry(name, EntryRejection::Name)
            }
            _ => io_error("unpack into", &self.root, error),
        }
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> UnpackError {
    UnpackError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

fn create_file(path: &Path, mode: Option<u32>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // `create_new` fails for an existing file and for a symlink.
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(mode.map_or(0o666, |mode| (mode & 0o777) | 0o600));
    }
    let _ = mode;
    options.open(path)
}

fn set_folder_mode(path: &Path, mode: u32) -> Result<(), UnpackError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The owner keeps write access, to unpack into the folder and to remove it. Others never get it.
        let permissions = fs::Permissions::from_mode((mode & 0o755) | 0o700);
        let set = fs::set_permissions(path, permissions);
        set.map_err(|source| io_error("set the permissions of", path, source))?;
    }
    let _ = (path, mode);
    Ok(())
}

#[cfg(unix)]
fn create_symlink(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn create_symlink(_: &str, _: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}
