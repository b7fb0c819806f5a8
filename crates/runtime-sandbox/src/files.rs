//! The files that a command sees.

use std::path::{Path, PathBuf};

/// The folders of the machine with programs and their settings.
pub(crate) const SYSTEM_FOLDERS: [&str; 8] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc",
];

/// Files and folders in `/etc` that hold secrets, some of them readable by every user.
const SECRETS: [&str; 20] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssh",
    "/etc/ssl/private",
    "/etc/pki/tls/private",
    "/etc/krb5.keytab",
    "/etc/docker",
    "/etc/kubernetes",
    "/etc/rancher",
    "/etc/taskcluster",
    "/etc/start-worker.yml",
    "/etc/generic-worker",
    "/etc/google",
    "/etc/NetworkManager/system-connections",
    "/etc/wpa_supplicant",
    "/etc/wireguard",
];

/// Whether a command may change files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileAccess {
    ReadOnly,
    ReadWrite,
}

/// A file or folder of the machine inside the sandbox.
#[derive(Clone, Debug)]
pub(crate) struct BindMount {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) access: FileAccess,
}

/// The root folder of a sandbox.
#[derive(Clone, Debug)]
pub(crate) enum RootFolder {
    /// An empty folder in memory.
    Empty,
    /// A folder of the machine.
    Folder(PathBuf),
    /// Folders of the machine below a writable one.
    Overlay {
        lower: Vec<PathBuf>,
        upper: PathBuf,
        work: PathBuf,
    },
}

/// The files that a command sees, for [`Wall::Files`](crate::Wall::Files) and
/// [`Wall::Landlock`](crate::Wall::Landlock).
///
/// In addition to the listed files, the wall `files` provides an empty `/tmp` and `/dev/shm` in memory, `/dev` with the
/// usual devices and pseudo terminals, and `/proc` with the processes of the sandbox.
#[derive(Clone, Debug)]
#[must_use = "a view has an effect only as a part of an isolation"]
pub struct FileView {
    pub(crate) root: RootFolder,
    pub(crate) binds: Vec<BindMount>,
    pub(crate) hidden: Vec<PathBuf>,
    pub(crate) memory_size: u64,
}

impl FileView {
    /// The default size of `/tmp` and `/dev/shm` together: 1 GiB.
    pub const DEFAULT_MEMORY_SIZE: u64 = 1 << 30;

    /// The system folders of the machine, read-only: `/usr`, `/bin`, `/sbin`, `/lib*`, and `/etc` except for files that
    /// usually contain secrets.
    pub fn system() -> Self {
        let mut view = Self::empty();
        for folder in SYSTEM_FOLDERS {
            view = view.read_only(folder, folder);
        }
        for secret in SECRETS {
            view = view.hide(secret);
        }
        view
    }

    /// No files of the machine.
    pub fn empty() -> Self {
        Self {
            root: RootFolder::Empty,
            binds: Vec::new(),
            hidden: Vec::new(),
            memory_size: Self::DEFAULT_MEMORY_SIZE,
        }
    }

    /// A folder as the root, such as an unpacked image. It is read-only.
    ///
    /// The folder must contain the folders `dev`, `proc` and `tmp`, and a file or folder at the target of each other
    /// mount.
    pub fn folder(root: impl Into<PathBuf>) -> Self {
        Self {
            root: RootFolder::Folder(root.into()),
            ..Self::empty()
        }
    }

    /// Several layers as the root: the `lower` folders, the topmost first, and above them `upper`, which receives all
    /// changes.
    ///
    /// `upper` and `work` are folders on one file system, and the command's user must be able to write to `upper`.
    pub fn overlay(
        lower: impl IntoIterator<Item = impl Into<PathBuf>>,
        upper: impl Into<PathBuf>,
        work: impl Into<PathBuf>,
    ) -> Self {
        Self {
            root: RootFolder::Overlay {
                lower: lower.into_iter().map(Into::into).collect(),
                upper: upper.into(),
                work: work.into(),
            },
            ..Self::empty()
        }
    }

    /// Adds a file or folder of the machine, read-only. A missing system folder is skipped.
    pub fn read_only(self, source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.bind(source.into(), target.into(), FileAccess::ReadOnly)
    }

    /// Adds a file, folder or socket of the machine, with write access.
    ///
    /// Through a socket, the command can connect to a server of the machine, even without a network.
    ///
    /// The permissions of the files still apply. If the worker is root, the command runs as another user: see
    /// [`SandboxCommand::user`](crate::SandboxCommand::user).
    pub fn read_write(self, source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.bind(source.into(), target.into(), FileAccess::ReadWrite)
    }

    /// Hides a file or folder inside the sandbox, which then appears empty. A missing file or folder is skipped.
    pub fn hide(mut self, path: impl Into<PathBuf>) -> Self {
        self.hidden.push(path.into());
        self
    }

    /// Sets the size of `/tmp` and `/dev/shm` together, in bytes. Default: 1 GiB.
    pub fn memory_size(mut self, bytes: u64) -> Self {
        self.memory_size = bytes;
        self
    }

    /// Returns whether a file or folder of the machine is visible inside the sandbox, at any path. Links are not
    /// followed.
    pub fn shows(&self, path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        let root = match &self.root {
            RootFolder::Empty => [].as_slice(),
            RootFolder::Folder(folder) => std::slice::from_ref(folder),
            RootFolder::Overlay { lower, .. } => lower,
        };
        let binds = self.binds.iter().map(|bind| &bind.source);
        binds.chain(root).any(|source| path.starts_with(source))
    }

    fn bind(mut self, source: PathBuf, target: PathBuf, access: FileAccess) -> Self {
        self.binds.push(BindMount {
            source,
            target,
            access,
        });
        self
    }
}

impl BindMount {
    /// Returns whether it is a system folder, which not every machine has.
    pub(crate) fn is_system_folder(&self) -> bool {
        SYSTEM_FOLDERS.iter().any(|it| Path::new(it) == self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn view_shows_what_is_below_its_folders() {
        let view = FileView::system().read_only("/srv/task-1", "/work");
        for shown in ["/usr", "/usr/bin/env", "/etc/hosts", "/srv/task-1/a"] {
            assert!(view.shows(shown), "{shown}");
        }
        for other in ["/", "/usrlocal", "/srv", "/srv/task-10", "/work", "/tmp"] {
            assert!(!view.shows(other), "{other}");
        }
        assert!(FileView::folder("/").shows("/srv"));
    }
}
