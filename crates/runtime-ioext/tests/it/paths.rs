//! Untrusted paths.

use std::path::{Component, Path};

use proptest::prelude::*;
use runtime_ioext::{
    RelativePathError, is_file_less_than, is_plain_file, is_plain_file_metadata, relative_path,
};

#[test]
fn relative_path_is_normalized() {
    for (path, expected) in [("a", "a"), ("./a//b/.", "a/b"), ("..a/b..", "..a/b..")] {
        assert_eq!(relative_path(path).unwrap(), Path::new(expected));
    }
}

#[test]
fn escapes_are_refused() {
    type Check = fn(&RelativePathError) -> bool;
    let absolute: Check = |error| matches!(error, RelativePathError::Absolute { .. });
    let parent: Check = |error| matches!(error, RelativePathError::Parent { .. });
    let drive: Check = |error| matches!(error, RelativePathError::DriveLetter { .. });
    let empty: Check = |error| matches!(error, RelativePathError::Empty { .. });
    let nul_byte: Check = |error| matches!(error, RelativePathError::NulByte { .. });
    for (path, is_expected) in [
        ("/a", absolute),
        (r"\a", absolute),
        (r"\\host\share", absolute),
        ("..", parent),
        ("a/..", parent),
        (r"a\..\..\b", parent),
        ("a/.. /b", parent),
        ("a/...", parent),
        ("C:/a", drive),
        ("c:a", drive),
        ("./c:/a", drive),
        (r"a\c:b", drive),
        ("", empty),
        ("./.", empty),
        ("a\0b", nul_byte),
    ] {
        let error = relative_path(path).unwrap_err();
        assert!(is_expected(&error), "{path:?}: {error}");
    }
}

proptest! {
    #[test]
    fn accepted_path_has_only_names(path in r"[a./\\: C]{0,12}") {
        if let Ok(relative) = relative_path(&path) {
            prop_assert!(relative.components().all(|part| matches!(part, Component::Normal(_))));
            prop_assert!(relative.components().count() > 0);
        }
    }
}

#[test]
fn only_plain_files_are_plain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "12345").unwrap();
    assert!(is_plain_file(&path));
    assert!(!is_plain_file(folder.path()));
    assert!(!is_plain_file(folder.path().join("none")));
    assert!(is_file_less_than(&path, 6));
    assert!(!is_file_less_than(&path, 5));
    assert!(!is_file_less_than(folder.path(), u64::MAX));
}

#[test]
fn metadata_tells_plain_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "12345").unwrap();
    let is_plain = |path| is_plain_file_metadata(&std::fs::symlink_metadata(path).unwrap());
    assert!(is_plain(path.as_path()));
    assert!(!is_plain(folder.path()));
    #[cfg(unix)]
    {
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(!is_plain(&link));
        assert!(!is_plain("/dev/null".as_ref()));
    }
}

#[cfg(unix)]
mod symlinks {
    use std::io::{Read, Write};
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use runtime_ioext::{OpenInRootError, Root, open_without_symlinks};
    use tempfile::TempDir;

    use super::*;

    /// A root with a file, a folder with a file, and symlinks to the inside and outside.
    fn root() -> (TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("root");
        std::fs::create_dir_all(inside.join("folder")).unwrap();
        std::fs::write(folder.path().join("secret"), "outside").unwrap();
        std::fs::write(inside.join("folder/file"), "inside").unwrap();
        symlink(folder.path(), inside.join("out")).unwrap();
        symlink(folder.path().join("secret"), inside.join("link")).unwrap();
        symlink("folder", inside.join("in")).unwrap();
        let root = Root::open(&inside).unwrap();
        (folder, root)
    }

    #[test]
    fn symlink_is_never_a_small_file() {
        let folder = tempfile::tempdir().unwrap();
        let (large, small) = (folder.path().join("large"), folder.path().join("small"));
        std::fs::write(&large, [0; 10_000]).unwrap();
        std::fs::write(&small, "").unwrap();
        for target in [large, small] {
            let link = folder.path().join("link");
            symlink(&target, &link).unwrap();
            assert!(!is_plain_file(&link));
            assert!(!is_file_less_than(&link, 1000));
            std::fs::remove_file(link).unwrap();
        }
    }

    #[test]
    fn file_inside_opens_and_creates() {
        let (_folder, root) = root();
        let mut text = String::new();
        root.open_file("folder/./file")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "inside");
        root.create_file("folder/new")
            .unwrap()
            .write_all(b"new")
            .unwrap();
        assert_eq!(
            std::fs::read(root.path().join("folder/new")).unwrap(),
            b"new"
        );
    }

    #[test]
    fn symlinks_are_not_followed() {
        let (folder, root) = root();
        for path in ["link", "out/secret", "in/file", "out", "folder/file/x"] {
            let error = root.open_file(path).unwrap_err();
            assert!(
                matches!(error, OpenInRootError::Symlink { .. }),
                "{path}: {error:?}"
            );
            assert!(root.create_file(path).is_err());
        }
        assert_eq!(
            std::fs::read(folder.path().join("secret")).unwrap(),
            b"outside"
        );
    }

    #[test]
    fn escaping_path_is_not_opened() {
        let (_folder, root) = root();
        for path in ["../secret", "/etc/passwd", "folder/../../secret"] {
            assert!(matches!(
                root.open_file(path),
                Err(OpenInRootError::Path { .. })
            ));
        }
    }

    #[test]
    fn only_plain_files_are_opened() {
        let (_folder, root) = root();
        let devices = Root::open("/dev").unwrap();
        for (root, path) in [(&root, "folder"), (&devices, "null")] {
            for opened in [root.open_file(path), root.create_file(path)] {
                assert!(matches!(opened, Err(OpenInRootError::NotPlain { .. })));
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pipes_do_not_block() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let (_folder, root) = root();
        let path = root.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for opened in [root.open_file("pipe"), root.create_file("pipe")] {
            assert!(matches!(opened, Err(OpenInRootError::NotPlain { .. })));
        }
    }

    /// Another thread repeatedly replaces a file by a symlink. No read returns the content of the outside
    /// file.
    #[test]
    fn swapped_symlink_is_never_followed() {
        let (_folder, root) = root();
        let (path, done) = (root.path().join("folder/file"), AtomicBool::new(false));
        let link = root.path().join("other");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    symlink(root.path().join("../secret"), &link).unwrap();
                    std::fs::rename(&link, &path).unwrap();
                    std::fs::write(&link, "inside").unwrap();
                    std::fs::rename(&link, &path).unwrap();
                }
            });
            let _done = SetOnDrop(&done);
            for _ in 0..2000 {
                if let Ok(file) = root.open_file("folder/file") {
                    assert_eq!(std::io::read_to_string(file).unwrap(), "inside");
                }
            }
        });
    }

    /// Ends the other thread, even if an assertion fails: its scope would wait for it forever.
    struct SetOnDrop<'a>(&'a AtomicBool);

    impl Drop for SetOnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Another thread repeatedly replaces a folder by a symlink. No read returns the content of the outside
    /// file.
    #[test]
    fn swapped_folder_above_a_file_is_never_followed() {
        let (folder, done) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
        let whole = folder.path().canonicalize().unwrap();
        for (name, text) in [("inside", "inside"), ("outside", "outside")] {
            std::fs::create_dir(whole.join(name)).unwrap();
            std::fs::write(whole.join(name).join("file"), text).unwrap();
        }
        let (inside, away) = (whole.join("inside"), whole.join("away"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::fs::rename(&inside, &away).unwrap();
                    symlink(whole.join("outside"), &inside).unwrap();
                    std::fs::remove_file(&inside).unwrap();
                    std::fs::rename(&away, &inside).unwrap();
                }
            });
            let _done = SetOnDrop(&done);
            for _ in 0..2000 {
                if let Ok(file) = open_without_symlinks(inside.join("file")) {
                    assert_eq!(std::io::read_to_string(file).unwrap(), "inside");
                }
            }
        });
        // Without swapping, the file can be read.
        open_without_symlinks(inside.join("file")).unwrap();
    }

    #[test]
    fn open_without_symlinks_requires_an_absolute_path() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().canonicalize().unwrap();
        std::fs::create_dir(whole.join("folder")).unwrap();
        std::fs::write(whole.join("folder/file"), "inside").unwrap();
        symlink("folder", whole.join("link")).unwrap();
        symlink("folder/file", whole.join("end")).unwrap();
        assert!(open_without_symlinks(whole.join("folder/file")).is_ok());
        let refused = [
            "link/file",
            "end",
            "folder",
            "folder/../folder/file",
            "folder/file/x",
        ];
        for path in refused
            .map(|path| whole.join(path))
            .into_iter()
            .chain(["folder/file".into(), "/dev/null".into()])
        {
            let error = open_without_symlinks(&path).unwrap_err();
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::InvalidInput,
                "{}",
                path.display()
            );
        }
        let error = open_without_symlinks(whole.join("none/file")).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }

    #[test]
    fn missing_file_is_not_found() {
        let (_folder, root) = root();
        let Err(OpenInRootError::Open { source, .. }) = root.open_file("none/file") else {
            panic!("opened")
        };
        assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
        assert!(Root::open(root.path().join("folder/file")).is_err());
    }
}
