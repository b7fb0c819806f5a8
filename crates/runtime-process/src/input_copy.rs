//! Private copies of files and folders for a task, which may change them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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

    /// Returns the total size of the files in bytes; 0 if one cannot be read, since the copy will fail on it and
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
/// Iterative, since a tree may be deeper than the stack.
fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let mut pending = vec![Step::Copy(source.to_owned(), target.to_owned())];
    while let Some(step) = pending.pop() {
        match step {
            Step::Copy(source, target) => copy_entry(&source, target, &mut pending)?,
            Step::SetPermissions(target, permissions) => fs::set_permissions(target, permissions)?,
        }
    }
    Ok(())
}

/// A step of a copy.
enum Step {
    Copy(PathBuf, PathBuf),
    SetPermissions(PathBuf, fs::Permissions),
}

/// Copies a file or a link, or creates a folder and adds the steps for its content.
fn copy_entry(source: &Path, target: PathBuf, pending: &mut Vec<Step>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(source)?;
    if metadata.is_symlink() {
        return copy_link(source, &target);
    }
    if metadata.is_file() {
        // Shares the blocks of the file if the file system supports it, and copies the permissions.
        return fs::copy(source, target).map(drop);
    }
    match fs::create_dir(&target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => created?,
    }
    // Below the content on the stack, because nothing can be added to a read-only folder.
    pending.push(Step::SetPermissions(target.clone(), metadata.permissions()));
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        pending.push(Step::Copy(entry.path(), target.join(entry.file_name())));
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
