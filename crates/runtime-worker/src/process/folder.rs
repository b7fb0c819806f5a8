//! The folder of a task, and the paths in it.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use runtime_core::{MalformedPayloadError, TemporaryFolder, TemporaryStorage};

use crate::engine::ExtractError;

/// The folder that a task starts in.
#[derive(Debug)]
pub(super) struct TaskFolder {
    folder: TemporaryFolder,
    /// Folders elsewhere that were brought in, by their real paths.
    attached: Vec<PathBuf>,
}

impl TaskFolder {
    pub(super) fn create(storage: &TemporaryStorage) -> io::Result<Self> {
        Ok(Self {
            folder: storage.new_folder("task")?,
            attached: Vec::new(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Links a folder of this machine to `target`. A link, because what is behind it stays where the
    /// cache keeps it, whatever happens to the task.
    pub(super) fn attach_folder(
        &mut self,
        source: &Path,
        target: &str,
    ) -> Result<(), MalformedPayloadError> {
        let place = self.free_place(target)?;
        let source = source
            .canonicalize()
            .map_err(|error| cannot_place(target, &error))?;
        link_folder(&source, &place).map_err(|error| cannot_place(target, &error))?;
        self.attached.push(source);
        Ok(())
    }

    /// Copies a file of this machine to `target`, so that the task cannot change the original.
    pub(super) fn attach_file(
        &self,
        source: &Path,
        target: &str,
    ) -> Result<(), MalformedPayloadError> {
        let place = self.free_place(target)?;
        fs::copy(source, &place).map_err(|error| cannot_place(target, &error))?;
        Ok(())
    }

    /// Finds what the task left at `path`, which links must not lead out of.
    pub(super) fn find(&self, path: &str) -> Result<PathBuf, ExtractError> {
        let wrap = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ExtractError::Missing {
                path: path.to_owned(),
            },
            _ => ExtractError::Unreadable {
                path: path.to_owned(),
                source,
            },
        };
        let relative = relative(path).ok_or_else(|| ExtractError::Outside {
            path: path.to_owned(),
        })?;
        let real = self.path().join(relative).canonicalize().map_err(wrap)?;
        let own = self.path().canonicalize().map_err(wrap)?;
        let roots = self.attached.iter().chain([&own]);
        let inside = roots.into_iter().any(|root| real.starts_with(root));
        if inside {
            Ok(real)
        } else {
            Err(ExtractError::Outside {
                path: path.to_owned(),
            })
        }
    }

    /// Makes the folders above `target`, and makes sure that nothing is there yet.
    fn free_place(&self, target: &str) -> Result<PathBuf, MalformedPayloadError> {
        let refuse = |why: &str| MalformedPayloadError::new(format!("`{target}` {why}"));
        let relative = relative(target)
            .filter(|path| !path.as_os_str().is_empty())
            .ok_or_else(|| refuse("is no path below the folder of the task; write it without `..` and without a leading slash"))?;
        let place = self.path().join(&relative);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(|error| cannot_place(target, &error))?;
        }
        if place.symlink_metadata().is_ok() {
            return Err(refuse("is taken by another mount"));
        }
        if self.find_parent_outside(&relative) {
            return Err(refuse("lies in a folder that is mounted"));
        }
        Ok(place)
    }

    fn find_parent_outside(&self, relative: &Path) -> bool {
        let mut above = relative.ancestors().skip(1);
        above.any(|part| !part.as_os_str().is_empty() && self.path().join(part).is_symlink())
    }
}

/// The path if it stays below where it starts, by its own text.
fn relative(path: &str) -> Option<PathBuf> {
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

fn cannot_place(target: &str, error: &io::Error) -> MalformedPayloadError {
    MalformedPayloadError::new(format!("cannot mount at `{target}`: {error}"))
}

#[cfg(unix)]
fn link_folder(source: &Path, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(source, place)
}

#[cfg(windows)]
fn link_folder(source: &Path, place: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_dir(source, place)
}
