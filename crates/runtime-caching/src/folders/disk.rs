//! All changes of files below a root, each traced before it is made.
//!
//! Every change is a possible crash point. The crash test subscribes to [`TARGET`] and kills its process before each
//! change in turn, which covers all states that a killed process can leave behind.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The target of the trace events.
const TARGET: &str = "runtime_caching::disk";

fn step(change: &'static str, path: &Path) {
    tracing::trace!(target: TARGET, path = %path.display(), change);
}

/// Creates a folder that only this user may enter. Fails if it exists.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    step("create folder", path);
    private().create(path)
}

/// Creates a folder and its parents, if they do not exist.
pub(super) fn create_folders(path: &Path) -> io::Result<()> {
    step("create folders", path);
    private().recursive(true).create(path)
}

fn private() -> fs::DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has a mode"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    // Tasks may run as other users, and must not enter the folders of others.
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Replaces a file: after the end of this process, it has either the old or the new content.
///
/// After a power loss it may also be empty or missing, unless it is synced.
pub(super) fn write(path: &Path, bytes: &[u8], sync: Sync) -> io::Result<()> {
    // In the same folder, because a rename is atomic only within a file system.
    let temporary = path.with_extension("new");
    let written = write_temporary(&temporary, bytes, sync).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        // If this fails, the next sweep removes the file.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Writes a file in place: after the end of this process, it may have a part of the content, and after a power loss also
/// the old content. It is for records, of which only the size may be old: key and time of creation never change.
pub(super) fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    step("create file", path);
    let mut options = File::options();
    // Not truncated to zero: for a file that is, ext4 starts to write the new content to disk at the close.
    let mut file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    step("write file", path);
    file.write_all(bytes)?;
    step("set length", path);
    file.set_len(bytes.len() as u64)
}

/// Whether a file is synced to disk, which takes milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    No,
    Yes,
}

fn write_temporary(path: &Path, bytes: &[u8], sync: Sync) -> io::Result<()> {
    let file = write_content(path, bytes)?;
    if sync == Sync::Yes {
        // Before the rename: some file systems persist a rename before the content, and leave an empty file.
        step("sync file", path);
        file.sync_all()?;
    }
    Ok(())
}

fn write_content(path: &Path, bytes: &[u8]) -> io::Result<File> {
    step("create file", path);
    let mut file = File::create(path)?;
    step("write file", path);
    file.write_all(bytes)?;
    Ok(file)
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step("rename", from);
    fs::rename(from, to)
}

/// Removes a file, if it exists.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    step("remove file", path);
    ignore_not_found(fs::remove_file(path))
}

/// Removes a file, or a folder with its contents, if it exists.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    step("remove tree", path);
    runtime_core::remove_tree(path)
}

/// Syncs a folder, so that renames in it survive a power loss.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    step("sync folder", path);
    // Windows cannot open a folder as a file, and NTFS journals renames.
    if cfg!(unix) {
        File::open(path)?.sync_all()
    } else {
        Ok(())
    }
}

/// Returns the names in a folder.
pub(super) fn names(path: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(path)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// Moves a file or folder into `folder`. It keeps its name, or gets an unused variant of the name.
pub(super) fn move_into(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut to = folder.join(&*name);
    let mut copy = 0;
    // An earlier copy may still be waiting for its removal.
    while fs::symlink_metadata(&to).is_ok() {
        copy += 1;
        to = folder.join(format!("{name}.{copy}"));
    }
    rename(path, &to).map(|()| to)
}

fn ignore_not_found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
