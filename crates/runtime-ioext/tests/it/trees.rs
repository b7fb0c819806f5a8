//! Removal and sizes of folders with their content.

use std::fs;
use std::io;
use std::path::Path;

use runtime_ioext::{measure_tree, remove_tree};

/// Creates a chain of `depth` folders in `folder`, whose path is too long for the kernel if it is deep.
///
/// From the inside out, since a path to the innermost folder cannot be used.
pub(crate) fn nest(folder: &Path, depth: usize) -> io::Result<()> {
    let (chain, outer) = (folder.join("d"), folder.join("outer"));
    fs::create_dir(&chain)?;
    for _ in 1..depth {
        fs::create_dir(&outer)?;
        fs::rename(&chain, outer.join("d"))?;
        fs::rename(&outer, &chain)?;
    }
    Ok(())
}

#[test]
fn files_and_folders_are_removed() -> io::Result<()> {
    let root = tempfile::tempdir()?;
    let folder = root.path().join("folder");
    for name in ["a/b/c", "a/d", "e"] {
        fs::create_dir_all(folder.join(name))?;
        fs::write(folder.join(name).join("file"), "x")?;
    }
    remove_tree(&folder.join("e/file"))?;
    assert!(folder.join("e").exists() && !folder.join("e/file").exists());
    remove_tree(&folder)?;
    assert!(!folder.exists());
    remove_tree(&folder)
}

#[test]
fn deep_branches_are_removed() -> io::Result<()> {
    let root = tempfile::tempdir()?;
    let folder = root.path().join("folder");
    // Wider than one read of a folder returns, and deeper than the number of open folders.
    for index in 0..300 {
        let branch = folder.join(format!("branch-{index}"));
        fs::create_dir_all(&branch)?;
        if index % 50 == 0 {
            nest(&branch, 100)?;
        }
    }
    assert_eq!(measure_tree(&folder)?.entries, 1 + 300 + 6 * 100);
    remove_tree(&folder)?;
    assert!(!folder.exists());
    Ok(())
}

#[test]
fn size_counts_all_levels() -> io::Result<()> {
    let root = tempfile::tempdir()?;
    // Every folder of a deep chain has entries before and after the one that leads deeper, in any order.
    let mut folder = root.path().to_owned();
    for _ in 0..100 {
        for name in ["a", "m", "z"] {
            fs::write(folder.join(name), "12345")?;
        }
        folder.push("n");
        fs::create_dir(&folder)?;
    }
    let size = measure_tree(root.path())?;
    assert_eq!((size.file_bytes, size.entries), (100 * 3 * 5, 1 + 100 * 4));
    Ok(())
}

#[test]
fn missing_path_has_no_size() {
    let root = tempfile::tempdir().expect("the disk has space");
    let error = measure_tree(&root.path().join("missing")).expect_err("it does not exist");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }

    #[test]
    fn links_are_not_followed() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let (outside, folder) = (root.path().join("outside"), root.path().join("folder"));
        fs::create_dir(&outside)?;
        fs::write(outside.join("precious"), "0123456789")?;
        fs::create_dir(&folder)?;
        symlink(&outside, folder.join("link"))?;
        symlink(outside.join("precious"), folder.join("file"))?;
        symlink(&folder, root.path().join("link"))?;

        assert_eq!(measure_tree(&folder)?.entries, 3);
        assert_eq!(measure_tree(&folder)?.file_bytes, 0);
        remove_tree(&root.path().join("link"))?;
        assert!(folder.join("link").exists(), "only the link is removed");
        remove_tree(&folder)?;
        assert!(!folder.exists() && outside.join("precious").exists());
        Ok(())
    }

    #[test]
    fn folders_without_permissions_are_removed() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let folder = root.path().join("folder");
        let mut folders = vec![folder.clone()];
        // Deeper than the number of open folders: to be moved, a folder needs permissions as well.
        for _ in 0..40 {
            let inner = folders[folders.len() - 1].join("inner");
            fs::create_dir_all(&inner)?;
            fs::write(inner.join("file"), "x")?;
            folders.push(inner);
        }
        for (index, folder) in folders.iter().rev().enumerate() {
            set_mode(folder, [0o000, 0o500, 0o200][index % 3])?;
        }
        remove_tree(&folder)?;
        assert!(!folder.exists());
        Ok(())
    }

    #[test]
    fn taken_names_do_not_stop_a_removal() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let folder = root.path().join("folder");
        fs::create_dir(&folder)?;
        nest(&folder, 200)?;
        // As a task, or an interrupted removal, may have created them.
        fs::write(folder.join(".removing-0"), "a file")?;
        fs::create_dir_all(folder.join(".removing-1/full"))?;
        symlink("nowhere", folder.join(".removing-2"))?;
        fs::create_dir(folder.join(".removing-3"))?;
        remove_tree(&folder)?;
        assert!(!folder.exists());
        Ok(())
    }

    /// Not even root may remove entries of `/proc`.
    #[cfg(target_os = "linux")]
    #[test]
    fn error_names_the_entry() {
        use runtime_ioext::RemoveTreeError;

        let error = remove_tree(Path::new("/proc/self/task")).expect_err("it is not a real folder");
        let inner = error
            .get_ref()
            .and_then(|error| error.downcast_ref::<RemoveTreeError>());
        let inner = inner.expect("the error names its path");
        assert!(inner.path.starts_with("/proc/self/task/"), "{error}");
        assert!(
            error
                .to_string()
                .starts_with("cannot remove `/proc/self/task/"),
            "{error}"
        );
        assert!(inner.has_more, "{error}");
        assert_eq!(error.kind(), inner.source.kind());
    }

    #[test]
    fn one_failure_does_not_stop_the_removal() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let parent = root.path().join("parent");
        let folder = parent.join("folder");
        fs::create_dir_all(folder.join("a/b"))?;
        fs::write(folder.join("a/b/file"), "x")?;
        set_mode(&parent, 0o500)?;
        let removed = remove_tree(&folder);
        set_mode(&parent, 0o700)?;
        if removed.is_ok() {
            // Root may remove it.
            return Ok(());
        }
        assert!(
            fs::read_dir(&folder)?.next().is_none(),
            "its content is removed"
        );
        Ok(())
    }
}
