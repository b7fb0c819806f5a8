//! The files of a folder, as artifacts to be.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

/// What a folder holds, see [`list_folder`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct FolderListing {
    /// The plain files, sorted by name.
    pub files: Vec<FolderFile>,
    /// The folders that could not be read, sorted by name, each with the reason.
    pub unreadable: Vec<(FolderFile, io::Error)>,
}

/// A file or folder below a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct FolderFile {
    /// The path below the folder, with `/` on every system.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Lists the plain files of a folder and of all folders below. Blocks.
///
/// Links are left out, to whatever they lead, and so are pipes and devices: nothing outside the folder
/// is ever listed. What vanishes meanwhile is left out too, and a folder below that cannot be read does
/// not keep the rest from being listed.
///
/// # Errors
///
/// Returns what the operating system says if `folder` itself is no folder or cannot be read.
pub fn list_folder(folder: &Path) -> io::Result<FolderListing> {
    let mut listing = FolderListing::default();
    let mut pending = vec![FolderFile {
        name: String::new(),
        path: folder.to_owned(),
    }];
    while let Some(folder) = pending.pop() {
        let is_root = folder.name.is_empty();
        match read(&folder, &mut listing.files, &mut pending) {
            Ok(()) => {}
            Err(error) if is_root => return Err(error),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => listing.unreadable.push((folder, error)),
        }
    }
    listing.files.sort_unstable();
    listing
        .unreadable
        .sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(listing)
}

fn read(
    folder: &FolderFile,
    files: &mut Vec<FolderFile>,
    folders: &mut Vec<FolderFile>,
) -> io::Result<()> {
    // The folder may have become a link since its parent was read.
    if !folder.name.is_empty() && !fs::symlink_metadata(&folder.path)?.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(&folder.path)? {
        let entry = entry?;
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            folders.push(below(folder, &entry));
        } else if kind.is_file() {
            files.push(below(folder, &entry));
        }
    }
    Ok(())
}

fn below(folder: &FolderFile, entry: &DirEntry) -> FolderFile {
    let file = entry.file_name();
    let name = match folder.name.as_str() {
        "" => file.to_string_lossy().into_owned(),
        above => format!("{above}/{}", file.to_string_lossy()),
    };
    FolderFile {
        name,
        path: entry.path(),
    }
}
