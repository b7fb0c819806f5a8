//! The folder of a task, and the paths in it.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use runtime_core::{MalformedPayloadError, StorageReservation, TemporaryFolder, TemporaryStorage};
use runtime_worker::ExtractError;

use crate::copy::{Copy, CopyError};

/// The folder that a task starts in.
#[derive(Debug)]
pub(crate) struct TaskFolder {
    folder: TemporaryFolder,
    /// Folders elsewhere that were brought in, by their real paths.
    attached: Vec<PathBuf>,
    /// What is to be copied before the task starts. Its place is kept by something empty.
    copies: Vec<Copy>,
    /// What the copies take of the quota, for as long as they are there.
    room: Option<StorageReservation>,
}

impl TaskFolder {
    pub(crate) fn create(storage: &TemporaryStorage) -> io::Result<Self> {
        Ok(Self {
            folder: storage.new_folder("task")?,
            attached: Vec::new(),
            copies: Vec::new(),
            room: None,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Links a folder of this machine to `target`. A link, because what is behind it stays where the
    /// cache keeps it, whatever happens to the task.
    pub(crate) fn attach_folder(
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

    /// Has a file or a folder of this machine copied to `target`, so that the task cannot change the original.
    pub(crate) fn attach_copy(
        &mut self,
        source: &Path,
        target: &str,
    ) -> Result<(), MalformedPayloadError> {
        let place = self.free_place(target)?;
        let kept = match source.is_dir() {
            true => fs::create_dir(&place),
            false => File::create_new(&place).map(drop),
        };
        kept.map_err(|error| cannot_place(target, &error))?;
        self.copies.push(Copy::new(source, place));
        Ok(())
    }

    pub(crate) fn awaits_copies(&self) -> bool {
        !self.copies.is_empty()
    }

    /// How many bytes the copies will have together. It blocks for as long as it takes to look.
    pub(crate) fn size_of_copies(&self) -> u64 {
        self.copies.iter().map(Copy::size).sum()
    }

    /// Makes the copies in the room that is kept for them. It blocks for as long as that takes.
    pub(crate) fn make_copies(&mut self, mut room: StorageReservation) -> Result<(), CopyError> {
        self.copies.drain(..).try_for_each(|copy| copy.make())?;
        room.written(room.bytes());
        self.room = Some(room);
        Ok(())
    }

    /// Finds what the task left at `path`, which links must not lead out of.
    pub(crate) fn find(&self, path: &str) -> Result<PathBuf, ExtractError> {
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
        if self.is_in_a_mount(&relative) {
            return Err(refuse("lies in a folder that is mounted"));
        }
        Ok(place)
    }

    fn is_in_a_mount(&self, relative: &Path) -> bool {
        let mut above = relative.ancestors().skip(1);
        above.any(|part| {
            let part = self.path().join(part);
            part != self.path()
                && (part.is_symlink() || self.copies.iter().any(|it| it.is_at(&part)))
        })
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
