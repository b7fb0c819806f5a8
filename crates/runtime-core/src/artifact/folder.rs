//! Recursive listing of a folder, for uploading its files as artifacts.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

/// The maximum number of bytes of the names and paths of a bounded listing.
const MAX_PATH_BYTES: usize = 64 << 20;

/// The result of [`list_folder`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct FolderListing {
    /// The plain files, sorted by name.
    pub files: Vec<FolderEntry>,
    /// The folders that could not be read, sorted by name, each with its error.
    pub unreadable: Vec<(FolderEntry, io::Error)>,
    /// The symbolic links, sorted by name. They are not followed.
    pub links: Vec<FolderEntry>,
    /// Whether there are more entries than the limit, so that some are missing.
    pub is_truncated: bool,
}

/// A file or subfolder of a listed folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct FolderEntry {
    /// The path relative to the listed folder, with `/` on every system.
    pub name: String,
    /// The full path.
    pub path: PathBuf,
}

/// Lists the plain files of a folder and all its subfolders. Blocks.
///
/// Symbolic links are listed and not followed, and pipes and devices are skipped, so that nothing outside the folder
/// is read. Entries that vanish during the listing are skipped too. An unreadable subfolder does not stop the listing.
///
/// # Errors
///
/// The error of the operating system if `folder` itself cannot be read.
pub fn list_folder(folder: &Path) -> io::Result<FolderListing> {
    list(folder, usize::MAX, usize::MAX)
}

/// Lists a folder like [`list_folder`], but stops after `max_entries` files and subfolders, or when their paths need more
/// than 64 MiB. A task may create millions of files, and paths of some kilobytes.
///
/// # Errors
///
/// The error of the operating system if `folder` itself cannot be read.
pub fn list_folder_up_to(folder: &Path, max_entries: usize) -> io::Result<FolderListing> {
    list(folder, max_entries, MAX_PATH_BYTES)
}

/// The entries and the bytes of their paths that a listing may still add.
struct Remaining {
    entries: usize,
    path_bytes: usize,
}

fn list(folder: &Path, entries: usize, path_bytes: usize) -> io::Result<FolderListing> {
    let mut listing = FolderListing::default();
    let mut remaining = Remaining {
        entries,
        path_bytes,
    };
    let mut pending = vec![FolderEntry {
        name: String::new(),
        path: folder.to_owned(),
    }];
    // A list instead of recursion: a task may nest folders deeper than the stack.
    while let Some(folder) = pending.pop().filter(|_| !listing.is_truncated) {
        let is_root = folder.name.is_empty();
        match read(&folder, &mut listing, &mut pending, &mut remaining) {
            Ok(()) => {}
            Err(error) if is_root => return Err(error),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => listing.unreadable.push((folder, error)),
        }
    }
    listing.files.sort_unstable();
    listing.links.sort_unstable();
    listing
        .unreadable
        .sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(listing)
}

fn read(
    folder: &FolderEntry,
    listing: &mut FolderListing,
    folders: &mut Vec<FolderEntry>,
    remaining: &mut Remaining,
) -> io::Result<()> {
    // A running task may have replaced the folder with a link since its parent was read.
    if !folder.name.is_empty() && !fs::symlink_metadata(&folder.path)?.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(&folder.path)? {
        let entry = entry?;
        if remaining.entries == 0 {
            listing.is_truncated = true;
            return Ok(());
        }
        remaining.entries -= 1;
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let list = if kind.is_dir() {
            &mut *folders
        } else if kind.is_file() {
            &mut listing.files
        } else if kind.is_symlink() {
            &mut listing.links
        } else {
            continue;
        };
        let entry = child(folder, &entry);
        let bytes = entry.name.len() + entry.path.as_os_str().len();
        let Some(left) = remaining.path_bytes.checked_sub(bytes) else {
            listing.is_truncated = true;
            return Ok(());
        };
        remaining.path_bytes = left;
        list.push(entry);
    }
    Ok(())
}

fn child(folder: &FolderEntry, entry: &DirEntry) -> FolderEntry {
    let file = entry.file_name();
    let name = match folder.name.as_str() {
        "" => file.to_string_lossy().into_owned(),
        above => format!("{above}/{}", file.to_string_lossy()),
    };
    FolderEntry {
        name,
        path: entry.path(),
    }
}
