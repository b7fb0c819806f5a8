//! Opens files inside a folder, and nowhere else.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::relative::{RelativePathError, relative_path};

/// A folder that paths from somewhere else must not leave.
///
/// Paths are checked as [`relative_path`] does, and no symlink is followed, neither as a folder on the way
/// nor at the end. On Unix the system makes sure of that while it opens (`openat2` on Linux, else
/// `O_NOFOLLOW` part by part), so that nobody can swap in a symlink between a check and its use; there the
/// folder is also held open, and may be renamed. Elsewhere each part is looked at before, which is no
/// protection against somebody who changes the folder at the same time.
///
/// # Example
///
/// ```
/// use std::io::Write;
/// use runtime_ioext::Root;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let root = Root::open(folder)?;
/// root.create_file("result.txt")?.write_all(b"fine")?;
/// assert_eq!(std::io::read_to_string(root.open_file("result.txt")?)?, "fine");
/// assert!(root.open_file("../result.txt").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    folder: system::Folder,
}

/// Why a path was not opened inside a root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenInRootError {
    /// The path is not one that stays inside a folder.
    #[error("cannot open {path:?} in {root:?}")]
    Path {
        /// The root.
        root: PathBuf,
        /// The path as it was given.
        path: String,
        /// What is wrong with it.
        source: RelativePathError,
    },
    /// A part of the path is a symlink, or a file where a folder should be.
    #[error("cannot open {path:?} in {root:?}, because a part of it is a symlink or not a folder")]
    Symlink {
        /// The root.
        root: PathBuf,
        /// The path as it was given.
        path: String,
    },
    /// What is there is a folder, a pipe or a device.
    #[error("cannot open {path:?} in {root:?}, because it is not a plain file")]
    NotPlain {
        /// The root.
        root: PathBuf,
        /// The path as it was given.
        path: String,
    },
    /// The system refused.
    #[error("cannot open {path:?} in {root:?}")]
    Open {
        /// The root.
        root: PathBuf,
        /// The path as it was given.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// What to open a file for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Read,
    Create,
}

impl Root {
    /// Opens a folder. Symlinks on the way to it are followed, since its path is the caller's own.
    ///
    /// # Errors
    ///
    /// If it cannot be opened or is not a folder.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_path_buf();
        let folder = system::Folder::open(&path)?;
        Ok(Self { path, folder })
    }

    /// The path of the folder, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a plain file inside the folder for reading.
    ///
    /// # Errors
    ///
    /// If the path leads or might lead out of the folder, if it names something else than a plain file, or
    /// if the file cannot be opened. No pipe is waited for.
    pub fn open_file(&self, path: &str) -> Result<File, OpenInRootError> {
        self.open_for(path, Purpose::Read)
    }

    /// Creates a file inside the folder, or empties the one that is there. Its parent has to exist.
    ///
    /// # Errors
    ///
    /// If the path leads or might lead out of the folder, if it names something else than a plain file, or
    /// if the file cannot be created.
    pub fn create_file(&self, path: &str) -> Result<File, OpenInRootError> {
        self.open_for(path, Purpose::Create)
    }

    fn open_for(&self, path: &str, purpose: Purpose) -> Result<File, OpenInRootError> {
        let (root, given) = (self.path.clone(), path.to_owned());
        let relative = match relative_path(path) {
            Ok(relative) => relative,
            Err(source) => {
                return Err(OpenInRootError::Path {
                    root,
                    path: given,
                    source,
                });
            }
        };
        match self.open_plain(&relative, purpose) {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(OpenInRootError::NotPlain { root, path: given }),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                Err(OpenInRootError::Symlink { root, path: given })
            }
            Err(source) => Err(OpenInRootError::Open {
                root,
                path: given,
                source,
            }),
        }
    }

    /// Asks the open file what it is, since whoever owns the folder may change what is at the path.
    fn open_plain(&self, path: &Path, purpose: Purpose) -> io::Result<Option<File>> {
        match self.folder.open_inside(path, purpose) {
            Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Opens the plain file at an absolute path on which there is no symlink, such as [`Path::canonicalize`] gives.
///
/// A symlink that took the place of the file, or of a folder above it, since the path was looked at is not
/// followed: what holds for a [`Root`] holds for the whole path.
///
/// # Errors
///
/// If the path is not absolute, if a part of it is a symlink, a `..`, or a file where a folder should be, if
/// it names something else than a plain file, or if the file cannot be opened. No pipe is waited for.
pub fn open_without_symlinks(path: impl AsRef<Path>) -> io::Result<File> {
    let refuse = |why: &'static str| io::Error::new(io::ErrorKind::InvalidInput, why);
    let is_start = |part: &Component<'_>| matches!(part, Component::Prefix(_) | Component::RootDir);
    let (start, rest): (PathBuf, PathBuf) = path.as_ref().components().partition(is_start);
    let is_plain = rest
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !start.has_root() || !is_plain {
        return Err(refuse("the path is not absolute or contains `..`"));
    }
    match Root::open(start)?.open_plain(&rest, Purpose::Read) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(refuse("it is no plain file")),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(refuse("a part of the path is a symlink or not a folder"))
        }
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
mod system {
    //! Lets the system refuse symlinks while it opens.

    use std::os::fd::{AsFd, OwnedFd};

    use rustix::fs::{Mode, OFlags, openat};
    use rustix::io::Errno;

    use super::{File, Path, Purpose, io};

    #[derive(Debug)]
    pub(super) struct Folder(OwnedFd);

    impl Folder {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
        }

        pub(super) fn open_inside(&self, path: &Path, purpose: Purpose) -> io::Result<File> {
            let flags = flags(purpose);
            #[cfg(target_os = "linux")]
            match self.open_beneath(path, flags) {
                // Old kernels lack the call, and containers may forbid it.
                Err(Errno::NOSYS | Errno::PERM) => {}
                result => return Ok(result.map_err(refused)?.into()),
            }
            Ok(self.open_part_by_part(path, flags).map_err(refused)?.into())
        }

        #[cfg(target_os = "linux")]
        fn open_beneath(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
            use rustix::fs::ResolveFlags;
            let resolve =
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            rustix::fs::openat2(&self.0, path, flags, mode(flags), resolve)
        }

        fn open_part_by_part(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
            let folder_flags =
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut folder: Option<OwnedFd> = None;
            for part in path.parent().into_iter().flat_map(Path::components) {
                let parent = folder.as_ref().map_or(self.0.as_fd(), AsFd::as_fd);
                folder = Some(openat(
                    parent,
                    part.as_os_str(),
                    folder_flags,
                    Mode::empty(),
                )?);
            }
            let parent = folder.as_ref().map_or(self.0.as_fd(), AsFd::as_fd);
            openat(
                parent,
                path.file_name().unwrap_or_default(),
                flags,
                mode(flags),
            )
        }
    }

    fn flags(purpose: Purpose) -> OFlags {
        let flags = match purpose {
            Purpose::Read => OFlags::RDONLY,
            Purpose::Create => OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC,
        };
        // A pipe is not waited for, and no terminal becomes that of this process.
        flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC
    }

    fn mode(flags: OFlags) -> Mode {
        match flags.contains(OFlags::CREATE) {
            true => Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH,
            false => Mode::empty(),
        }
    }

    /// The codes of different systems for a symlink that was not followed.
    fn refused(error: Errno) -> Errno {
        match error {
            Errno::LOOP | Errno::MLINK => Errno::NOTDIR,
            error => error,
        }
    }
}

#[cfg(not(unix))]
mod system {
    //! Looks at each part before it opens.

    use super::{File, Path, PathBuf, Purpose, io};

    #[derive(Debug)]
    pub(super) struct Folder(PathBuf);

    impl Folder {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            match std::fs::metadata(path)?.is_dir() {
                true => Ok(Self(path.canonicalize()?)),
                false => Err(io::ErrorKind::NotADirectory.into()),
            }
        }

        pub(super) fn open_inside(&self, path: &Path, purpose: Purpose) -> io::Result<File> {
            let mut whole = self.0.clone();
            for part in path.components() {
                whole.push(part);
                let is_symlink =
                    std::fs::symlink_metadata(&whole).is_ok_and(|found| found.is_symlink());
                if is_symlink {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
            }
            match purpose {
                Purpose::Read => File::open(whole),
                Purpose::Create => File::options()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(whole),
            }
        }
    }
}
