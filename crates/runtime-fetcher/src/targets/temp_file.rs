//! A temporary file that is visible only when it is complete.

use std::fs::File;
use std::io;
use std::path::Path;

use tempfile::TempPath;

/// A temporary file: unnamed on Linux (`O_TMPFILE`), else a named file that is removed on drop.
///
/// The kernel frees an unnamed file when the last descriptor closes, hence also when the worker is killed.
pub(super) struct TempFile {
    /// `None` for an unnamed file.
    name: Option<TempPath>,
}

impl TempFile {
    /// Creates an empty file in `folder`.
    pub(super) fn create_in(folder: &Path) -> io::Result<(File, Self)> {
        #[cfg(target_os = "linux")]
        if let Some(file) = linux::unnamed_in(folder) {
            return Ok((file, Self { name: None }));
        }
        Self::create_named_in(folder)
    }

    fn create_named_in(folder: &Path) -> io::Result<(File, Self)> {
        let (file, name) = named().tempfile_in(folder)?.into_parts();
        Ok((file, Self { name: Some(name) }))
    }

    /// Removes the file and reports an error, which a drop would ignore.
    pub(super) fn remove(self) -> io::Result<()> {
        self.name.map_or(Ok(()), TempPath::close)
    }

    /// Names the file, replacing any other file at `path`.
    pub(super) fn persist(self, file: File, path: &Path) -> io::Result<()> {
        let Some(name) = self.name else {
            #[cfg(target_os = "linux")]
            return linux::name(&file, path);
            #[cfg(not(target_os = "linux"))]
            unreachable!("only Linux has unnamed files");
        };
        // Windows does not rename an open file.
        drop(file);
        name.persist(path).map_err(|error| error.error)
    }
}

fn named() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".fetch-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As `File::create` does: `tempfile` would use 0600. The umask still applies.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd as _;
    use std::path::Path;
    use std::sync::LazyLock;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};

    use super::named;

    /// The links to the open files of a process, through which `linkat` names an unnamed file.
    static PROC_SELF_FD: LazyLock<Option<&Path>> = LazyLock::new(|| {
        let path = Path::new("/proc/self/fd");
        path.is_dir().then_some(path)
    });

    /// Creates an unnamed file; `None` if the file system does not support it or `/proc` is not mounted.
    pub(super) fn unnamed_in(folder: &Path) -> Option<File> {
        (*PROC_SELF_FD)?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = open(folder, flags, Mode::from_raw_mode(0o666)).ok()?;
        Some(file.into())
    }

    pub(super) fn name(file: &File, path: &Path) -> io::Result<()> {
        let Err(error) = link(file, path) else {
            return Ok(());
        };
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(error);
        }
        // `linkat` does not replace an existing file, but `rename` does: link under a temporary name first.
        let folder = path.parent().unwrap_or(path);
        let named = named().make_in(folder, |name| link(file, name))?;
        let replaced = named.into_temp_path().persist(path);
        replaced.map_err(|error| error.error)
    }

    fn link(file: &File, path: &Path) -> io::Result<()> {
        let open = (*PROC_SELF_FD)
            .unwrap_or(path)
            .join(file.as_raw_fd().to_string());
        Ok(linkat(CWD, &open, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    type Create = fn(&Path) -> io::Result<(File, TempFile)>;

    /// The second creates named files on every system.
    const VARIANTS: [Create; 2] = [TempFile::create_in, TempFile::create_named_in];

    fn entries(folder: &Path) -> usize {
        folder.read_dir().expect("folder exists").count()
    }

    #[test]
    fn persist_replaces_existing_file() {
        for create in VARIANTS {
            let folder = tempfile::tempdir().expect("disk has space");
            let path = folder.path().join("file");
            for text in ["first", "second"] {
                let (mut file, temp) = create(folder.path()).expect("disk has space");
                file.write_all(text.as_bytes()).expect("disk has space");
                temp.persist(file, &path).expect("rename succeeds");
                assert_eq!(std::fs::read_to_string(&path).expect("file exists"), text);
                assert_eq!(entries(folder.path()), 1);
            }
        }
    }

    #[test]
    fn remove_leaves_nothing() {
        for create in VARIANTS {
            let folder = tempfile::tempdir().expect("disk has space");
            let (_, temp) = create(folder.path()).expect("disk has space");
            temp.remove().expect("removal succeeds");
            assert_eq!(entries(folder.path()), 0);
        }
    }

    #[test]
    fn folder_is_not_replaced() {
        for create in VARIANTS {
            let folder = tempfile::tempdir().expect("disk has space");
            let path = folder.path().join("folder");
            std::fs::create_dir(&path).expect("disk has space");
            let (file, temp) = create(folder.path()).expect("disk has space");
            temp.persist(file, &path).expect_err("path is a folder");
            assert_eq!(entries(folder.path()), 1);
        }
    }

    #[cfg(unix)]
    #[test]
    fn permissions_follow_the_umask() {
        use std::os::unix::fs::PermissionsExt as _;
        for create in VARIANTS {
            let folder = tempfile::tempdir().expect("disk has space");
            let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
            File::create(&plain).expect("disk has space");
            let (file, temp) = create(folder.path()).expect("disk has space");
            temp.persist(file, &ours).expect("rename succeeds");
            let mode = |path| std::fs::metadata(path).map(|file| file.permissions().mode());
            assert_eq!(mode(ours).ok(), mode(plain).ok());
        }
    }
}
