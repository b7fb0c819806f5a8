//! Removes entries relative to their open folders.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, DirEntry, FileType, Mode, OFlags, fchmod, fstat, openat, renameat, unlinkat,
};
use rustix::io::Errno;
use rustix::path::Arg;

use super::wrap;

/// The number of folders that are open at a time. Few trees are deeper, and their removal is not slower than
/// by recursion.
const MAX_OPEN_FOLDERS: usize = 32;

/// The number of times that a folder is read again because it is not empty after all of its entries were
/// removed: network file systems may skip entries if others are removed meanwhile.
const MAX_RESCANS: u32 = 3;

pub(super) fn remove_folder(path: &Path) -> io::Result<()> {
    let mut removal = TreeRemoval {
        root: path,
        levels: vec![Level::new(CString::default(), open_folder(CWD, path)?)?],
        moved: 0,
        visited: 0,
        first_failure: None,
        has_more_failures: false,
    };
    removal.run()?;
    match removal.first_failure {
        Some((path, error)) => Err(wrap(path, removal.has_more_failures, error.into())),
        None => Ok(()),
    }
}

/// The removal of a tree, depth first.
///
/// A folder below [`MAX_OPEN_FOLDERS`] levels is moved into the root of the tree and removed after the root's
/// other entries. So the depth is bounded, and no open folder has to be closed and opened again. Opening `..`
/// instead would be unsafe, because a task may still change the tree.
struct TreeRemoval<'a> {
    root: &'a Path,
    /// The folders from the root to the current one.
    levels: Vec<Level>,
    /// The number of folders moved into the root, and how many of them were visited there.
    moved: u64,
    visited: u64,
    first_failure: Option<(PathBuf, Errno)>,
    has_more_failures: bool,
}

/// An open folder whose entries are being removed.
struct Level {
    /// The name in the folder above; empty for the root.
    name: CString,
    entries: Dir,
    rescans: u32,
    /// Whether an entry could not be removed, so that the folder cannot be removed either.
    is_kept: bool,
}

impl Level {
    fn new(name: CString, folder: OwnedFd) -> Result<Self, Errno> {
        Ok(Self {
            name,
            entries: Dir::new(folder)?,
            rescans: 0,
            is_kept: false,
        })
    }

    fn folder(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.entries.fd()
    }
}

impl TreeRemoval<'_> {
    /// Fails only if no folder can be accessed by its descriptor. Failures of entries are recorded.
    fn run(&mut self) -> Result<(), Errno> {
        while let Some(level) = self.levels.last_mut() {
            match level.entries.read() {
                Some(Ok(entry)) => self.remove_entry(&entry)?,
                Some(Err(error)) => self.fail(None, error),
                None if self.levels.len() == 1 && self.visited < self.moved => {
                    let name = moved_name(self.visited);
                    self.visited += 1;
                    let entered = self.enter(&name);
                    self.record(&name, entered);
                }
                None => self.leave()?,
            }
        }
        Ok(())
    }

    fn remove_entry(&mut self, entry: &DirEntry) -> Result<(), Errno> {
        let (name, kind) = (entry.file_name(), entry.file_type());
        if [c".", c".."].contains(&name) {
            return Ok(());
        }
        let removed = if kind == FileType::Directory {
            self.enter(name)
        } else {
            match unlinkat(self.current()?, name, AtFlags::empty()) {
                // Some file systems do not report the type of an entry. Linux refuses to unlink a folder with
                // `ISDIR`, POSIX with `PERM`.
                Err(Errno::ISDIR | Errno::PERM) if kind == FileType::Unknown => self.enter(name),
                removed => removed,
            }
        };
        self.record(name, removed);
        Ok(())
    }

    /// Enters a folder in the current one, or moves it into the root.
    fn enter(&mut self, name: &CStr) -> Result<(), Errno> {
        // Opened even if it is moved: moving a folder requires the permission to write to it, which the open grants.
        let folder = open_folder(self.current()?, name)?;
        // Not every file system permits the move. Then the depth grows, as far as there are descriptors.
        if self.levels.len() < MAX_OPEN_FOLDERS || self.move_into_root(name).is_err() {
            self.levels.push(Level::new(name.to_owned(), folder)?);
        }
        Ok(())
    }

    fn move_into_root(&mut self, name: &CStr) -> Result<(), Errno> {
        loop {
            let to = moved_name(self.moved);
            let root = self.levels[0].folder()?;
            match renameat(self.current()?, name, root, &to) {
                // The name is taken, for example by an earlier removal that was interrupted. Its folder is visited
                // twice, which does not matter.
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => self.moved += 1,
                moved => {
                    self.moved += u64::from(moved.is_ok());
                    return moved;
                }
            }
        }
    }

    /// Removes the current folder. The folder above becomes the current one.
    fn leave(&mut self) -> Result<(), Errno> {
        let Some(mut level) = self.levels.pop() else {
            return Ok(());
        };
        if level.is_kept {
            if let Some(parent) = self.levels.last_mut() {
                parent.is_kept = true;
            }
            return Ok(());
        }
        let removed = match self.levels.last() {
            Some(parent) => unlinkat(parent.folder()?, &level.name, AtFlags::REMOVEDIR),
            None => unlinkat(CWD, self.root, AtFlags::REMOVEDIR),
        };
        match removed {
            Err(Errno::EXIST | Errno::NOTEMPTY) if level.rescans < MAX_RESCANS => {
                level.rescans += 1;
                level.entries.rewind();
                self.levels.push(level);
            }
            removed => self.record(&level.name, removed),
        }
        Ok(())
    }

    fn current(&self) -> Result<BorrowedFd<'_>, Errno> {
        // Called only while an entry of a level is removed.
        self.levels.last().ok_or(Errno::NOENT)?.folder()
    }

    fn record(&mut self, name: &CStr, removed: Result<(), Errno>) {
        match removed {
            // Something else removed it.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => self.fail(Some(name), error),
        }
    }

    /// Records that an entry of the current folder, or the folder itself, cannot be removed.
    fn fail(&mut self, name: Option<&CStr>, error: Errno) {
        let names = self.levels.iter().map(|level| &*level.name).chain(name);
        // The root and its own name are empty.
        let names = names.filter(|name| !name.is_empty());
        if self.first_failure.is_some() {
            self.has_more_failures = true;
        } else {
            let names = names.map(|name| OsStr::from_bytes(name.to_bytes()));
            let path = self.root.iter().chain(names).collect();
            self.first_failure = Some((path, error));
        }
        if let Some(level) = self.levels.last_mut() {
            level.is_kept = true;
        }
    }
}

/// The name in the root of a folder that was moved there.
fn moved_name(number: u64) -> CString {
    CString::new(format!(".removing-{number}")).unwrap_or_default()
}

/// Opens a folder whose entries its owner may remove. Symlinks are not followed.
fn open_folder<P: Arg + Copy>(parent: impl AsFd, name: P) -> Result<OwnedFd, Errno> {
    let parent = parent.as_fd();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            make_readable(parent, name).map_err(|_| Errno::ACCESS)?;
            openat(parent, name, flags, Mode::empty())?
        }
        opened => opened?,
    };
    let mode = Mode::from_raw_mode(fstat(&folder)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        // Fails if the folder has another owner. Then the removal of its entries reports the error.
        let _ = fchmod(&folder, mode | Mode::RWXU);
    }
    Ok(folder)
}

/// Adds all permissions for the owner of a folder, without following a symlink that took its place.
#[cfg(target_os = "linux")]
fn make_readable<P: Arg>(parent: BorrowedFd<'_>, name: P) -> Result<(), Errno> {
    use std::os::fd::AsRawFd as _;

    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(parent, name, flags, Mode::empty())?;
    // `fchmod` refuses such a descriptor, and `fchmodat` has no `NOFOLLOW` before Linux 6.6.
    let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
    rustix::fs::chmod(path, Mode::RWXU)
}

#[cfg(not(target_os = "linux"))]
fn make_readable<P: Arg>(parent: BorrowedFd<'_>, name: P) -> Result<(), Errno> {
    rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::SYMLINK_NOFOLLOW)
}
