//! Opens files inside a folder without following symlinks.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::relative::{RelativePathError, relative_path};

/// A folder that confines untrusted paths.
///
/// Paths are checked by [`relative_path`], and no symlink is followed, neither as a folder on the way nor as
/// the last component. On Unix the kernel ensures this while it opens the file (`openat2` on Linux, otherwise
/// `O_NOFOLLOW` per component): a task could replace a component by a symlink between a check and the open.
/// The folder itself is held open and may be renamed. On other systems each component is checked before the
/// open, which does not protect against concurrent changes.
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

/// The error of opening a file in a [`Root`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenInRootError {
    /// The path does not stay inside the folder.
    #[error("cannot open {path:?} in {root:?}")]
    Path {
        /// The root.
        root: PathBuf,
        /// The path.
        path: String,
        /// The failed check.
        source: RelativePathError,
    },
    /// A component is a symlink, or a file instead of a folder.
    #[error("cannot open {path:?} in {root:?}: a component is a symlink or not a folder")]
    Symlink {
        /// The root.
        root: PathBuf,
        /// The path.
        path: String,
    },
    /// The path is a folder, a pipe or a device.
    #[error("cannot open {path:?} in {root:?}: it is not a plain file")]
    NotPlain {
        /// The root.
        root: PathBuf,
        /// The path.
        path: String,
    },
    /// The operating system refused.
    #[error("cannot open {path:?} in {root:?}")]
    Open {
        /// The root.
        root: PathBuf,
        /// The path.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// The access mode of a file.
#[derive(Clone, Copy, Debug)]
enum Access {
    Read,
    Create,
}

impl Root {
    /// Opens a folder. Symlinks in its path are followed: the caller chose it.
    ///
    /// # Errors
    ///
    /// If the folder cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_path_buf();
        let folder = system::Folder::open(&path)?;
        Ok(Self { path, folder })
    }

    /// Returns the path of the folder, as passed to [`open`](Self::open).
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a plain file in the folder for reading.
    ///
    /// # Errors
    ///
    /// If the path could leave the folder, is not a plain file, or cannot be opened. Never blocks on a pipe.
    pub fn open_file(&self, path: &str) -> Result<File, OpenInRootError> {
        self.open_for(path, Access::Read)
    }

    /// Creates or truncates a file in the folder and opens it for reading and writing. Its parent must exist.
    /// On Unix a new file has mode 0644, less the umask.
    ///
    /// # Errors
    ///
    /// If the path could leave the folder, is not a plain file, or cannot be created.
    pub fn create_file(&self, path: &str) -> Result<File, OpenInRootError> {
        self.open_for(path, Access::Create)
    }

    fn open_for(&self, path: &str, access: Access) -> Result<File, OpenInRootError> {
        let (root, requested) = (self.path.clone(), path.to_owned());
        let relative = match relative_path(path) {
            Ok(relative) => relative,
            Err(source) => {
                return Err(OpenInRootError::Path {
                    root,
                    path: requested,
                    source,
                });
            }
        };
        match self.open_plain(&relative, access) {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(OpenInRootError::NotPlain {
                root,
                path: requested,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                Err(OpenInRootError::Symlink {
                    root,
                    path: requested,
                })
            }
            Err(source) => Err(OpenInRootError::Open {
                root,
                path: requested,
                source,
            }),
        }
    }

    /// Opens the file, then checks its type. A check before the open could concern another file.
    fn open_plain(&self, path: &Path, access: Access) -> io::Result<Option<File>> {
        match self.folder.open_inside(path, access) {
            Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Opens a plain file at an absolute path that contains no symlink, such as one from [`Path::canonicalize`].
///
/// If the file or one of its parents was replaced by a symlink since, the open fails: the guarantee of
/// [`Root`] holds for the whole path. Never blocks on a pipe.
///
/// # Errors
///
/// If the path is relative or contains `..`, or if a component is a symlink or a file instead of a folder.
/// Also if the file is not plain or cannot be opened.
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
    match Root::open(start)?.open_plain(&rest, Access::Read) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(refuse("the path is not a plain file")),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(refuse(
            "a component of the path is a symlink or not a folder",
        )),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
mod system {
    //! Lets the kernel refuse symlinks during the open.

    use std::os::fd::{AsFd, OwnedFd};

    use rustix::fs::{Mode, OFlags, openat};
    use rustix::io::Errno;

    use super::{Access, File, Path, io};

    #[derive(Debug)]
    pub(super) struct Folder(OwnedFd);

    impl Folder {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
        }

        pub(super) fn open_inside(&self, path: &Path, access: Access) -> io::Result<File> {
            let flags = flags(access);
            #[cfg(target_os = "linux")]
            match self.open_beneath(path, flags) {
                // `openat2` is missing in kernels before 5.6, and the seccomp filters of some containers
                // refuse unknown system calls. A genuine `PERM` fails again below.
                Err(Errno::NOSYS | Errno::PERM) => {}
                result => return Ok(result.map_err(unify_symlink_error)?.into()),
            }
            Ok(self
                .open_by_component(path, flags)
                .map_err(unify_symlink_error)?
                .into())
        }

        #[cfg(target_os = "linux")]
        // `NO_MAGICLINKS` refuses the links in `/proc/*/fd`, which lead anywhere without being symlinks.
        fn open_beneath(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
            use rustix::fs::ResolveFlags;
            let resolve =
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            rustix::fs::openat2(&self.0, path, flags, mode(flags), resolve)
        }

        /// Opens each component relative to the descriptor of the one before it: the path of a folder may
        /// change in the meantime, but a descriptor always refers to the same folder.
        pub(super) fn open_by_component(
            &self,
            path: &Path,
            flags: OFlags,
        ) -> Result<OwnedFd, Errno> {
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

    pub(super) fn flags(access: Access) -> OFlags {
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::Create => OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC,
        };
        // `NONBLOCK`: opening a pipe must not wait for its peer. `NOCTTY`: a terminal must not become the
        // controlling terminal of the worker.
        flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC
    }

    fn mode(flags: OFlags) -> Mode {
        if flags.contains(OFlags::CREATE) {
            Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH
        } else {
            Mode::empty()
        }
    }

    /// Unifies the error codes for a symlink that was not followed, which differ between systems.
    fn unify_symlink_error(error: Errno) -> Errno {
        match error {
            Errno::LOOP | Errno::MLINK => Errno::NOTDIR,
            error => error,
        }
    }
}

#[cfg(not(unix))]
mod system {
    //! Checks each component before the open.

    use super::{Access, File, Path, PathBuf, io};

    #[derive(Debug)]
    pub(super) struct Folder(PathBuf);

    impl Folder {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            if !std::fs::metadata(path)?.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            Ok(Self(path.canonicalize()?))
        }

        pub(super) fn open_inside(&self, path: &Path, access: Access) -> io::Result<File> {
            let mut whole = self.0.clone();
            for part in path.components() {
                whole.push(part);
                let is_symlink =
                    std::fs::symlink_metadata(&whole).is_ok_and(|found| found.is_symlink());
                if is_symlink {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
            }
            match access {
                Access::Read => File::open(whole),
                Access::Create => File::options()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(whole),
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::io::Errno;

    use super::system::{Folder, flags};
    use super::{Access, Path};

    /// The kernels of test machines have `openat2`, so `Root` itself never opens component by component
    /// there.
    #[test]
    fn open_by_component_follows_no_symlink() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("file"), "").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plain")).unwrap();
        std::fs::write(folder.path().join("plain/file"), "").unwrap();
        symlink(outside.path(), folder.path().join("folder")).unwrap();
        symlink(
            outside.path().join("file"),
            folder.path().join("plain/link"),
        )
        .unwrap();

        let root = Folder::open(folder.path()).unwrap();
        let open = |path: &str| root.open_by_component(Path::new(path), flags(Access::Read));
        assert!(open("plain/file").is_ok());
        assert!(matches!(
            open("folder/file"),
            Err(Errno::NOTDIR | Errno::LOOP)
        ));
        assert!(matches!(
            open("plain/link"),
            Err(Errno::LOOP | Errno::MLINK)
        ));
    }
}
