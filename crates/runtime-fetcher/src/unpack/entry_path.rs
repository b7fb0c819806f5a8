//! Path rules for the entries of an archive.

use std::path::{Path, PathBuf};

use runtime_ioext::relative_path;

use super::error::{EntryRejection, UnpackError};

/// Returns the path of an entry relative to the folder.
pub(super) fn entry_path(name: &[u8]) -> Result<PathBuf, UnpackError> {
    let reject = |rejection| UnpackError::entry(name, rejection);
    let text = std::str::from_utf8(name).map_err(|_| reject(EntryRejection::NotText))?;
    // On NTFS, `file:stream` names an alternate data stream of a file.
    if cfg!(windows) && text.contains(':') {
        return Err(reject(EntryRejection::Name));
    }
    relative_path(text).map_err(|error| reject(error.into()))
}

/// Returns whether a name is the root of the archive, such as `./`.
pub(super) fn is_root(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .split(|byte| *byte == b'/')
            .all(|part| matches!(part, b"" | b"."))
        && name[0] != b'/'
}

/// Returns whether a symlink at `path` leads to a place inside the folder.
///
/// The parents of a symlink are real folders, so leading `..` components go up exactly one level each. The components
/// after them only go down, or through symlinks that obey the same rule. A `..` after a symlink would go up from the
/// target of that symlink, which the text does not show.
pub(super) fn stays_inside(path: &Path, target: &str) -> bool {
    if target.is_empty() || target.contains('\0') || target.starts_with(['/', '\\']) {
        return false;
    }
    let depth = path.components().count() - 1;
    let mut parts = target
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .peekable();
    let mut levels_up = 0;
    while parts.next_if_eq(&"..").is_some() {
        levels_up += 1;
    }
    levels_up <= depth && parts.all(|part| part != "..")
}
