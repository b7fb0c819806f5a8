//! Each change of a file below a root, told before it is made.
//!
//! All of them go through here, so that what a killed process leaves behind is one of a few states. The
//! crash test listens to [`TARGET`] and kills its process before each change in turn.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The target of the events that tell the changes.
const TARGET: &str = "runtime_caching::disk";

fn step(change: &'static str, path: &Path) {
    tracing::trace!(target: TARGET, path = %path.display(), change);
}

/// Makes a folder that only this user may enter. It must not be there yet.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    step("create folder", path);
    private().create(path)
}

/// Makes a folder, and those above it, unless they are there.
pub(super) fn create_folders(path: &Path) -> io::Result<()> {
    step("create folders", path);
    private().recursive(true).create(path)
}

fn private() -> fs::DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has a mode"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Writes a file that is either as it was or complete, whenever the process or the power ends.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let written = write_temporary(&temporary, bytes).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        // Whatever is left of it is removed at the next start.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_temporary(path: &Path, bytes: &[u8]) -> io::Result<()> {
    step("create file", path);
    let mut file = File::create(path)?;
    step("write file", path);
    file.write_all(bytes)?;
    step("sync file", path);
    file.sync_all()
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step("rename", from);
    fs::rename(from, to)
}

/// Removes a file; that it is not there is fine.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    step("remove file", path);
    absent_is_fine(fs::remove_file(path))
}

/// Removes a file or a folder with all that is in it; that it is not there is fine.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    step("remove tree", path);
    runtime_core::remove_tree(path)
}

/// Makes what was renamed into a folder outlast a loss of power.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    step("sync folder", path);
    // Elsewhere a folder cannot be opened as a file, and the file system orders its own changes.
    if cfg!(unix) {
        File::open(path)?.sync_all()
    } else {
        Ok(())
    }
}

/// The names in a folder.
pub(super) fn names(path: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(path)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// Moves what is at `path` into `folder` under a name that is free there.
pub(super) fn move_into(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut to = folder.join(&*name);
    let mut copy = 0;
    while fs::symlink_metadata(&to).is_ok() {
        copy += 1;
        to = folder.join(format!("{name}.{copy}"));
    }
    rename(path, &to).map(|()| to)
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
