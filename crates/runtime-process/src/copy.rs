//! Copies of what tasks share.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file or a folder, and where a task finds its own copy of it.
#[derive(Debug)]
pub(crate) struct Copy {
    source: PathBuf,
    target: PathBuf,
}

/// A task did not get its copy.
#[derive(Debug, thiserror::Error)]
#[error("cannot copy `{}` to `{}`", from.display(), to.display())]
pub(crate) struct CopyError {
    from: PathBuf,
    to: PathBuf,
    pub(crate) source: io::Error,
}

impl Copy {
    pub(crate) fn new(source: &Path, target: PathBuf) -> Self {
        let source = source.to_owned();
        Self { source, target }
    }

    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.target == path
    }

    /// How many bytes the copy will have, as far as that can be told before.
    pub(crate) fn size(&self) -> u64 {
        size(&self.source)
    }

    /// Makes the copy, over something empty of the same kind.
    pub(crate) fn make(&self) -> Result<(), CopyError> {
        copy(&self.source, &self.target).map_err(|source| CopyError {
            from: self.source.clone(),
            to: self.target.clone(),
            source,
        })
    }
}

/// What cannot be read has no size here: the copy tells why.
fn size(path: &Path) -> u64 {
    let metadata = fs::symlink_metadata(path);
    let is_folder = metadata.as_ref().is_ok_and(fs::Metadata::is_dir);
    let entries = is_folder.then(|| fs::read_dir(path).ok()).flatten();
    let below = entries.into_iter().flatten().flatten();
    let below: u64 = below.map(|entry| size(&entry.path())).sum();
    below + metadata.map_or(0, |it| if it.is_file() { it.len() } else { 0 })
}

/// Links are copied as they are and never followed. The system shares the blocks of files where it can.
fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(source)?;
    if metadata.is_symlink() {
        return copy_link(source, target);
    }
    if metadata.is_file() {
        return fs::copy(source, target).map(drop);
    }
    match fs::create_dir(target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        copy(&entry.path(), &target.join(entry.file_name()))?;
    }
    // At the end, since nothing can be put into a folder that may not be written.
    fs::set_permissions(target, metadata.permissions())
}

#[cfg(unix)]
fn copy_link(source: &Path, target: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(fs::read_link(source)?, target)
}

#[cfg(windows)]
fn copy_link(source: &Path, target: &Path) -> io::Result<()> {
    let to = fs::read_link(source)?;
    match source.is_dir() {
        true => std::os::windows::fs::symlink_dir(to, target),
        false => std::os::windows::fs::symlink_file(to, target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_tasks_own() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        fs::create_dir_all(source.join("deep"))?;
        fs::write(source.join("deep/file"), "precious")?;
        fs::create_dir(&target)?;

        let copied = Copy::new(&source, target.clone()).make();
        copied.expect("there is room");
        fs::write(target.join("deep/file"), "changed")?;
        assert_eq!(fs::read_to_string(source.join("deep/file"))?, "precious");
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn modes_and_links_are_as_they_were() -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir()?;
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        fs::create_dir(&source)?;
        fs::write(source.join("tool"), "#!/bin/sh")?;
        fs::set_permissions(source.join("tool"), fs::Permissions::from_mode(0o755))?;
        std::os::unix::fs::symlink("/nowhere", source.join("link"))?;
        fs::set_permissions(&source, fs::Permissions::from_mode(0o555))?;

        let copied = Copy::new(&source, target.clone()).make();
        copied.expect("there is room");
        let mode = |path: &Path| fs::metadata(path).map(|it| it.permissions().mode() & 0o777);
        assert_eq!(mode(&target.join("tool"))?, 0o755);
        assert_eq!(mode(&target)?, 0o555);
        assert_eq!(fs::read_link(target.join("link"))?, Path::new("/nowhere"));
        // So that the folder of the test can be removed.
        fs::set_permissions(&source, fs::Permissions::from_mode(0o755))?;
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
    }
}
