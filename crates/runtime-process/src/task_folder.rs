//! The folder of a task, and the mounts and paths in it.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use runtime_core::{MalformedPayloadError, StorageReservation, TemporaryFolder, TemporaryStorage};
use runtime_worker::{ExtractError, FolderAccess};

use crate::input_copy::{InputCopy, InputCopyError};

/// The working directory of a task. It is removed when this value and all other owners are dropped.
#[derive(Debug)]
pub(crate) struct TaskFolder {
    folder: Arc<TemporaryFolder>,
    /// The canonical paths of attached folders.
    attached: Vec<(PathBuf, FolderAccess)>,
    /// Copies to make before the task starts. An empty file or folder is a placeholder for each.
    copies: Vec<InputCopy>,
    /// The storage quota that the copies use.
    quota: Option<StorageReservation>,
}

impl TaskFolder {
    pub(crate) fn create(storage: &TemporaryStorage) -> io::Result<Self> {
        Ok(Self {
            folder: Arc::new(storage.new_folder("task")?),
            attached: Vec::new(),
            copies: Vec::new(),
            quota: None,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps the folder on disk until the result is dropped.
    #[cfg(unix)]
    pub(crate) fn keep(&self) -> Arc<TemporaryFolder> {
        Arc::clone(&self.folder)
    }

    /// Returns the canonical paths of attached folders.
    #[cfg(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    pub(crate) fn attached(&self) -> &[(PathBuf, FolderAccess)] {
        &self.attached
    }

    /// Links `target` to a folder of this machine. The walls around the task enforce `access`.
    ///
    /// Unlike a move, a link leaves the folder in the cache that owns it, even if the worker crashes. Unlike a
    /// bind mount, it needs no privileges.
    pub(crate) fn attach_folder(
        &mut self,
        source: &Path,
        target: &str,
        access: FolderAccess,
    ) -> Result<(), MalformedPayloadError> {
        let path = self.unused_path(target)?;
        let source = source
            .canonicalize()
            .map_err(|error| cannot_mount(target, &error))?;
        link_folder(&source, &path).map_err(|error| cannot_mount(target, &error))?;
        self.attached.push((source, access));
        Ok(())
    }

    /// Requests a copy of a file or folder at `target`, so that the task cannot change the original.
    pub(crate) fn attach_copy(
        &mut self,
        source: &Path,
        target: &str,
    ) -> Result<(), MalformedPayloadError> {
        let path = self.unused_path(target)?;
        let reserved = if source.is_dir() {
            fs::create_dir(&path)
        } else {
            File::create_new(&path).map(drop)
        };
        reserved.map_err(|error| cannot_mount(target, &error))?;
        self.copies.push(InputCopy::new(source, path));
        Ok(())
    }

    pub(crate) fn has_copies(&self) -> bool {
        !self.copies.is_empty()
    }

    /// Returns the total size of the requested copies in bytes. Blocks while it reads their metadata.
    pub(crate) fn copies_size(&self) -> u64 {
        self.copies.iter().map(InputCopy::size).sum()
    }

    /// Copies the requested inputs. `quota` is released with the folder. Blocks until the copies are complete.
    pub(crate) fn make_copies(
        &mut self,
        mut quota: StorageReservation,
    ) -> Result<(), InputCopyError> {
        self.copies.drain(..).try_for_each(|copy| copy.make())?;
        // The copies are on disk now, so the free space of the file system already excludes them.
        quota.record_written(quota.bytes());
        self.quota = Some(quota);
        Ok(())
    }

    /// Returns the real path of a file of the task. Links may lead into an attached folder, but not elsewhere.
    pub(crate) fn resolve(&self, path: &str) -> Result<PathBuf, ExtractError> {
        let wrap = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ExtractError::Missing {
                path: path.to_owned(),
            },
            _ => ExtractError::Unreadable {
                path: path.to_owned(),
                source,
            },
        };
        let outside = || ExtractError::Outside {
            path: path.to_owned(),
        };
        let relative = relative_path(path).ok_or_else(outside)?;
        // Links are resolved before the check: one made by the task may lead anywhere.
        let resolved = self.path().join(relative).canonicalize().map_err(wrap)?;
        let own = self.path().canonicalize().map_err(wrap)?;
        let attached = self.attached.iter().map(|(folder, _)| folder);
        let mut roots = attached.chain([&own]);
        if roots.any(|root| resolved.starts_with(root)) {
            Ok(resolved)
        } else {
            Err(outside())
        }
    }

    /// Returns the full path of a mount and creates its parent folders. Fails if another mount occupies it.
    fn unused_path(&self, target: &str) -> Result<PathBuf, MalformedPayloadError> {
        let reject = |reason: &str| MalformedPayloadError::new(format!("`{target}` {reason}"));
        let relative = relative_path(target)
            .filter(|path| !path.as_os_str().is_empty())
            .ok_or_else(|| {
                reject("is outside of the task's folder: use a relative path without `..`")
            })?;
        let path = self.path().join(&relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| cannot_mount(target, &error))?;
        }
        if path.symlink_metadata().is_ok() {
            return Err(reject("is already used by another mount"));
        }
        // A mount below a link would write into a cache. One below a copy would make that copy fail.
        if self.is_inside_mount(&relative) {
            return Err(reject("is inside another mount"));
        }
        Ok(path)
    }

    fn is_inside_mount(&self, relative: &Path) -> bool {
        let mut parents = relative.ancestors().skip(1);
        parents.any(|parent| {
            let parent = self.path().join(parent);
            parent != self.path()
                && (parent.is_symlink() || self.copies.iter().any(|copy| copy.is_at(&parent)))
        })
    }
}

/// Returns the normalized path, or `None` if it is absolute or contains `..`.
fn relative_path(path: &str) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
}

fn cannot_mount(target: &str, error: &io::Error) -> MalformedPayloadError {
    MalformedPayloadError::new(format!("cannot mount at `{target}`: {error}"))
}

#[cfg(unix)]
fn link_folder(source: &Path, target: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(source, target)
}

#[cfg(windows)]
fn link_folder(source: &Path, target: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_dir(source, target)
}
