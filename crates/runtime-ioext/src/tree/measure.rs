//! The size of a folder with its content.

use std::fs;
use std::io;
use std::path::Path;

/// The size of a tree. Symlinks count themselves, and hard links count once for each name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeSize {
    /// The sum of the lengths of all plain files, in bytes.
    pub file_bytes: u64,
    /// The bytes allocated on disk for all entries. They differ from the lengths for sparse and for small files.
    pub disk_bytes: u64,
    /// The number of entries, including the root of the tree.
    pub entries: u64,
}

impl TreeSize {
    fn add(&mut self, entry: Self) {
        // Saturating: some file systems let a task set any length.
        self.file_bytes = self.file_bytes.saturating_add(entry.file_bytes);
        self.disk_bytes = self.disk_bytes.saturating_add(entry.disk_bytes);
        self.entries += 1;
    }
}

/// Returns the size of a file, a symlink or a folder with its content. Symlinks are not followed.
///
/// The depth of the tree is not limited: on Linux, the function holds up to 32 descriptors and needs little memory.
/// Entries that vanish or are replaced meanwhile are skipped. Blocks.
///
/// # Errors
///
/// The error of the operating system if an entry cannot be read, or if a deep folder is moved meanwhile.
///
/// # Example
///
/// ```
/// # let root = tempfile::tempdir()?;
/// std::fs::create_dir(root.path().join("folder"))?;
/// std::fs::write(root.path().join("folder/file"), "content")?;
/// let size = runtime_ioext::measure_tree(root.path())?;
/// assert_eq!((size.file_bytes, size.entries), (7, 3));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn measure_tree(path: &Path) -> io::Result<TreeSize> {
    let metadata = fs::symlink_metadata(path)?;
    let mut size = TreeSize::default();
    size.add(of(&metadata));
    if metadata.is_dir() {
        system::measure_content(path, &mut size)?;
    }
    Ok(size)
}

fn of(metadata: &fs::Metadata) -> TreeSize {
    #[cfg(unix)]
    let disk_bytes = std::os::unix::fs::MetadataExt::blocks(metadata).saturating_mul(512);
    #[cfg(not(unix))]
    let disk_bytes = metadata.len();
    TreeSize {
        file_bytes: if metadata.is_file() {
            metadata.len()
        } else {
            0
        },
        disk_bytes,
        entries: 1,
    }
}

#[cfg(target_os = "linux")]
mod system {
    //! Reads entries relative to their open folders.

    use std::collections::VecDeque;
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
    use rustix::io::Errno;
    use rustix::path::Arg;

    use super::{Path, TreeSize, io};

    /// The number of folders that are open at a time.
    const MAX_OPEN_FOLDERS: usize = 32;

    pub(super) fn measure_content(path: &Path, size: &mut TreeSize) -> io::Result<()> {
        let mut walk = TreeWalk {
            levels: Vec::new(),
            open: VecDeque::new(),
        };
        walk.push(open_folder(CWD, path)?)?;
        while let Some(folder) = walk.open.back_mut() {
            let Some(entry) = folder.read() else {
                walk.pop()?;
                continue;
            };
            let entry = entry?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            let stat = match statat(folder.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
                // A running task creates and removes files meanwhile. The size is an estimate at
                // any rate.
                Err(Errno::NOENT) => continue,
                stat => stat?,
            };
            size.add(of(&stat));
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                match open_folder(folder.fd()?, name) {
                    // Removed, or replaced by a file or a symlink.
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    child => walk.descend(entry.offset(), child?)?,
                }
            }
        }
        Ok(())
    }

    /// The folders from the root to the current one. The last ones are open.
    struct TreeWalk {
        levels: Vec<Level>,
        open: VecDeque<Dir>,
    }

    struct Level {
        device: u64,
        inode: u64,
        /// The position after the entry that is being measured. The walk continues there if the folder was closed
        /// in the meantime.
        resume_at: i64,
    }

    impl TreeWalk {
        fn descend(&mut self, resume_at: i64, child: OwnedFd) -> io::Result<()> {
            if let Some(level) = self.levels.last_mut() {
                level.resume_at = resume_at;
            }
            // The outermost folder is closed: a walk in depth returns to it last.
            if self.open.len() == MAX_OPEN_FOLDERS {
                self.open.pop_front();
            }
            self.push(child)
        }

        fn push(&mut self, folder: OwnedFd) -> io::Result<()> {
            let stat = fstat(&folder)?;
            self.levels.push(Level {
                device: stat.st_dev,
                inode: stat.st_ino,
                resume_at: 0,
            });
            self.open.push_back(Dir::new(folder)?);
            Ok(())
        }

        /// Returns to the folder above, and opens it if it was closed.
        fn pop(&mut self) -> io::Result<()> {
            self.levels.pop();
            let folder = self.open.pop_back();
            if let (true, Some(folder), Some(level)) =
                (self.open.is_empty(), folder, self.levels.last())
            {
                let parent = open_folder(folder.fd()?, c"..")?;
                let stat = fstat(&parent)?;
                // Something moved the folder out of the tree, and the walk must not follow.
                if (stat.st_dev, stat.st_ino) != (level.device, level.inode) {
                    return Err(io::Error::other("a folder was moved while it was measured"));
                }
                let mut parent = Dir::new(parent)?;
                parent.seek(level.resume_at)?;
                self.open.push_back(parent);
            }
            Ok(())
        }
    }

    fn open_folder<P: Arg>(parent: impl AsFd, name: P) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(parent, name, flags, Mode::empty())
    }

    fn of(stat: &Stat) -> TreeSize {
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        TreeSize {
            file_bytes: if is_file { length } else { 0 },
            disk_bytes: u64::try_from(stat.st_blocks)
                .unwrap_or(0)
                .saturating_mul(512),
            entries: 1,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    //! Reads entries by their paths, so that a tree deeper than the longest path is an error.

    use super::{Path, TreeSize, fs, io, of};

    pub(super) fn measure_content(path: &Path, size: &mut TreeSize) -> io::Result<()> {
        let mut pending = vec![path.to_owned()];
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let metadata = match entry.metadata() {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    metadata => metadata?,
                };
                size.add(of(&metadata));
                if metadata.is_dir() {
                    pending.push(entry.path());
                }
            }
        }
        Ok(())
    }
}
