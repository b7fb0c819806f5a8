//! A file that nobody sees until it is whole.

use std::fs::File;
use std::io;
use std::path::Path;

use tempfile::TempPath;

/// A file in a folder, without a name where the operating system has such files: then nothing is left of it
/// even when the worker is killed. Elsewhere it has a name of its own, which goes when this is dropped.
pub(super) struct Temporary {
    name: Option<TempPath>,
}

impl Temporary {
    /// Makes an empty file in `folder`.
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

    /// Makes sure that nothing is left.
    pub(super) fn remove(self) -> io::Result<()> {
        self.name.map_or(Ok(()), TempPath::close)
    }

    /// Gives the file its name, in place of any other file there.
    pub(super) fn persist(self, file: File, path: &Path) -> io::Result<()> {
        let Some(name) = self.name else {
            #[cfg(target_os = "linux")]
            return linux::name(&file, path);
            #[cfg(not(target_os = "linux"))]
            unreachable!("every file has a name here");
        };
        // A file that is open cannot be renamed everywhere.
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
        // The umask still applies: the file is as readable as any other that the worker makes.
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

    /// Where a process finds its open files, which is how one without a name gets one.
    static OPEN_FILES: LazyLock<Option<&Path>> = LazyLock::new(|| {
        let path = Path::new("/proc/self/fd");
        path.is_dir().then_some(path)
    });

    /// Makes a file without a name, if the file system can.
    pub(super) fn unnamed_in(folder: &Path) -> Option<File> {
        (*OPEN_FILES)?;
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
        // A link replaces nothing, a rename does.
        let folder = path.parent().unwrap_or(path);
        let named = named().make_in(folder, |name| link(file, name))?;
        let replaced = named.into_temp_path().persist(path);
        replaced.map_err(|error| error.error)
    }

    fn link(file: &File, path: &Path) -> io::Result<()> {
        let open = (*OPEN_FILES)
            .unwrap_or(path)
            .join(file.as_raw_fd().to_string());
        Ok(linkat(CWD, &open, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    type Create = fn(&Path) -> io::Result<(File, Temporary)>;

    /// The second is how it goes where every file has a name.
    const WAYS: [Create; 2] = [Temporary::create_in, Temporary::create_named_in];

    fn entries(folder: &Path) -> usize {
        folder.read_dir().expect("it is there").count()
    }

    #[test]
    fn a_file_gets_its_name_also_in_place_of_another() {
        for create in WAYS {
            let folder = tempfile::tempdir().expect("there is room");
            let path = folder.path().join("file");
            for text in ["first", "second"] {
                let (mut file, temporary) = create(folder.path()).expect("there is room");
                file.write_all(text.as_bytes()).expect("there is room");
                temporary.persist(file, &path).expect("it can be renamed");
                assert_eq!(std::fs::read_to_string(&path).expect("it is there"), text);
                assert_eq!(entries(folder.path()), 1);
            }
        }
    }

    #[test]
    fn a_file_without_its_name_leaves_nothing() {
        for create in WAYS {
            let folder = tempfile::tempdir().expect("there is room");
            let (_, temporary) = create(folder.path()).expect("there is room");
            temporary.remove().expect("it can be removed");
            assert_eq!(entries(folder.path()), 0);
        }
    }

    #[test]
    fn a_folder_is_not_replaced() {
        for create in WAYS {
            let folder = tempfile::tempdir().expect("there is room");
            let path = folder.path().join("folder");
            std::fs::create_dir(&path).expect("there is room");
            let (file, temporary) = create(folder.path()).expect("there is room");
            temporary.persist(file, &path).expect_err("it is a folder");
            assert_eq!(entries(folder.path()), 1);
        }
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_it_as_any_file_of_the_worker() {
        use std::os::unix::fs::PermissionsExt as _;
        for create in WAYS {
            let folder = tempfile::tempdir().expect("there is room");
            let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
            File::create(&plain).expect("there is room");
            let (file, temporary) = create(folder.path()).expect("there is room");
            temporary.persist(file, &ours).expect("it can be renamed");
            let mode = |path| std::fs::metadata(path).map(|file| file.permissions().mode());
            assert_eq!(mode(ours).ok(), mode(plain).ok());
        }
    }
}
