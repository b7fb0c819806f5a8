//! Private copies of files and folders for a task, which may change them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime_core::measure_tree;

/// A file or folder to copy for a task.
#[derive(Debug)]
pub(crate) struct InputCopy {
    source: PathBuf,
    target: PathBuf,
}

/// The error of copying a file or folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot copy `{}` to `{}`", from.display(), to.display())]
pub(crate) struct InputCopyError {
    from: PathBuf,
    to: PathBuf,
    pub(crate) source: io::Error,
}

impl InputCopy {
    pub(crate) fn new(source: &Path, target: PathBuf) -> Self {
        let source = source.to_owned();
        Self { source, target }
    }

    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.target == path
    }

    /// Returns the total size of the files in bytes. Returns 0 if a file cannot be read: the copy will then fail and
    /// report the cause.
    pub(crate) fn size(&self) -> u64 {
        measure_tree(&self.source).map_or(0, |size| size.file_bytes)
    }

    /// Copies the source to the target, over the empty file or folder that reserves it.
    pub(crate) fn make(&self) -> Result<(), InputCopyError> {
        copy(&self.source, &self.target).map_err(|source| InputCopyError {
            from: self.source.clone(),
            to: self.target.clone(),
            source,
        })
    }
}

/// Copies a tree. Links are copied as links and never followed.
///
/// Iterative, because a tree may be deeper than the stack. Only subfolders are queued, and they share the path of their
/// parent, because an archive may have a million entries with long paths.
fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let mut pending = Vec::new();
    copy_entry(source, target, &mut pending)?;
    while let Some(step) = pending.pop() {
        match step {
            Step::Copy(parent, name) => {
                let (source, target) = (parent.source.join(&name), parent.target.join(&name));
                copy_entry(&source, &target, &mut pending)?;
            }
            Step::SetPermissions(folder, permissions) => {
                fs::set_permissions(&folder.target, permissions)?;
            }
        }
    }
    Ok(())
}

/// A folder that is copied.
struct CopiedFolder {
    source: PathBuf,
    target: PathBuf,
}

/// A step of a copy.
enum Step {
    /// Copies a subfolder.
    Copy(Arc<CopiedFolder>, OsString),
    SetPermissions(Arc<CopiedFolder>, fs::Permissions),
}

/// Copies a file or a link, or a folder with the files and links in it, and adds the steps for its subfolders.
fn copy_entry(source: &Path, target: &Path, pending: &mut Vec<Step>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(source)?;
    if metadata.is_symlink() {
        return copy_link(source, target);
    }
    if metadata.is_file() {
        // Shares the blocks of the file if the file system supports it, and copies the permissions.
        return fs::copy(source, target).map(drop);
    }
    match fs::create_dir(target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => created?,
    }
    let folder = Arc::new(CopiedFolder {
        source: source.to_owned(),
        target: target.to_owned(),
    });
    // Below the subfolders on the stack, because nothing can be added to a read-only folder.
    let permissions = metadata.permissions();
    pending.push(Step::SetPermissions(Arc::clone(&folder), permissions));
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        if kind.is_dir() {
            pending.push(Step::Copy(Arc::clone(&folder), name));
        } else if kind.is_symlink() {
            copy_link(&entry.path(), &target.join(name))?;
        } else {
            fs::copy(entry.path(), target.join(name))?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn copy_link(source: &Path, target: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(fs::read_link(source)?, target)
}

#[cfg(windows)]
fn copy_link(source: &Path, target: &Path) -> io::Result<()> {
    let to = fs::read_link(source)?;
    if source.is_dir() {
        std::os::windows::fs::symlink_dir(to, target)
    } else {
        std::os::windows::fs::symlink_file(to, target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_is_independent_of_source() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        fs::create_dir_all(source.join("deep"))?;
        fs::write(source.join("deep/file"), "original")?;
        fs::create_dir(&target)?;

        let copied = InputCopy::new(&source, target.clone()).make();
        copied.expect("the disk has room");
        fs::write(target.join("deep/file"), "changed")?;
        assert_eq!(fs::read_to_string(source.join("deep/file"))?, "original");
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn modes_and_links_are_preserved() -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir()?;
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        fs::create_dir(&source)?;
        fs::write(source.join("tool"), "#!/bin/sh")?;
        fs::set_permissions(source.join("tool"), fs::Permissions::from_mode(0o755))?;
        std::os::unix::fs::symlink("/nowhere", source.join("link"))?;
        fs::set_permissions(&source, fs::Permissions::from_mode(0o555))?;

        let copied = InputCopy::new(&source, target.clone()).make();
        copied.expect("the disk has room");
        let mode = |path: &Path| fs::metadata(path).map(|it| it.permissions().mode() & 0o777);
        assert_eq!(mode(&target.join("tool"))?, 0o755);
        assert_eq!(mode(&target)?, 0o555);
        assert_eq!(fs::read_link(target.join("link"))?, Path::new("/nowhere"));
        // Allows the removal of the test folder.
        fs::set_permissions(&source, fs::Permissions::from_mode(0o755))?;
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
    }
}
