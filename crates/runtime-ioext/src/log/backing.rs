//! The file interface of a log.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sys::Mutex;

/// Positioned reads and writes of the log's file. A trait, so that tests can inject failures and short
/// writes.
pub(super) trait Backing: fmt::Debug + Send + Sync {
    /// Writes some of `bytes` at `offset`; returns the number of bytes.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Reads some bytes at `offset`; returns the number of bytes. May block on the disk.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Truncates the file.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Like [`read_at`](Self::read_at), but returns `None` if the read could block on the disk.
    fn try_read_at(&self, _bytes: &mut [u8], _offset: u64) -> Option<io::Result<usize>> {
        None
    }

    /// Returns whether the file exists. A log without a file stays in memory while it is short.
    fn exists(&self) -> bool {
        true
    }

    /// Creates the file unless it exists.
    fn create(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all of `bytes`; on failure, also returns the number of bytes written before it.
pub(super) fn write_all_at(
    backing: &dyn Backing,
    bytes: &[u8],
    offset: u64,
) -> Result<(), (u64, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match backing.write_at(&bytes[written..], offset + written as u64) {
            // Retrying a file that accepts no bytes would never end.
            Ok(0) => return Err((written as u64, io::ErrorKind::WriteZero.into())),
            Ok(n) => written += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written as u64, error)),
        }
    }
    Ok(())
}

/// Space in bytes that a new log reserves. If a task fills the disk at its start, its first output is still in
/// memory, as are the lines with the reason of its end.
#[cfg(target_os = "linux")]
const RESERVE: u64 = 16 * 1024;

/// A file, accessed only by position: readers and the flush share it without sharing a cursor.
#[derive(Debug)]
pub(super) struct FileBacking {
    file: File,
    /// Cleared when the file system turns out not to support reads from the page cache only.
    #[cfg(target_os = "linux")]
    supports_nowait: AtomicBool,
}

impl FileBacking {
    /// Creates the file, or truncates an existing one.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let (backing, _) = Self::create_with_reserve(path)?;
        Ok(backing)
    }

    /// Also returns whether the space could be reserved.
    fn create_with_reserve(path: &Path) -> io::Result<(Self, io::Result<()>)> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        let reserved = reserve(&file);
        let backing = Self {
            file,
            #[cfg(target_os = "linux")]
            supports_nowait: AtomicBool::new(true),
        };
        Ok((backing, reserved))
    }
}

/// Reserves space at the start of the file, without changing its length.
///
/// The only error is a full disk. Some file systems do not support it: their logs work until the disk is full.
#[cfg(target_os = "linux")]
fn reserve(file: &File) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;

    // `KEEP_SIZE`: readers and `extract` compare the length of the file with that of the log.
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, RESERVE) {
        Err(error @ (Errno::NOSPC | Errno::DQUOT)) => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(_: &File) -> io::Result<()> {
    Ok(())
}

impl Backing for FileBacking {
    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(&self.file, bytes, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_write(&self.file, bytes, offset)
    }

    #[cfg(unix)]
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, bytes, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.file, bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    /// Reads from the page cache only (`RWF_NOWAIT`), which nearly always contains a log that is being
    /// written. This avoids a switch to a blocking thread and back.
    #[cfg(target_os = "linux")]
    fn try_read_at(&self, bytes: &mut [u8], offset: u64) -> Option<io::Result<usize>> {
        use rustix::io::{Errno, ReadWriteFlags, preadv2};

        // `Relaxed`: a thread that sees the old value makes one useless system call.
        if !self.supports_nowait.load(Ordering::Relaxed) {
            return None;
        }
        let mut bytes = [io::IoSliceMut::new(bytes)];
        match preadv2(&self.file, &mut bytes, offset, ReadWriteFlags::NOWAIT) {
            Ok(n) => Some(Ok(n)),
            // Not in the page cache, or interrupted: the blocking read handles both.
            Err(Errno::AGAIN | Errno::INTR) => None,
            // The file system or the kernel does not support it. Remembered, because each try costs a system call.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                self.supports_nowait.store(false, Ordering::Relaxed);
                None
            }
            Err(error) => Some(Err(error.into())),
        }
    }
}

/// A file that is created by the first write.
#[derive(Debug)]
pub(super) struct SpooledFile {
    path: PathBuf,
    file: OnceLock<FileBacking>,
    /// Held during the creation, which truncates the file: a second one would remove the bytes of the first.
    creation: Mutex<()>,
}

impl SpooledFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: OnceLock::new(),
            creation: Mutex::new(()),
        }
    }

    fn created(&self) -> io::Result<&FileBacking> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let _creation = self.creation.lock();
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        // Without the reserve, a full disk might take a few bytes, and then no line that says so. If nothing was
        // written, the line is appended in memory.
        let (file, reserved) = FileBacking::create_with_reserve(&self.path)?;
        reserved?;
        Ok(self.file.get_or_init(|| file))
    }

    /// Returns the file, of which only existing bytes are read.
    fn existing(&self) -> io::Result<&FileBacking> {
        self.file
            .get()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Backing for SpooledFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.created()?.write_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.existing()?.read_at(bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.existing()?.truncate(len)
    }

    fn try_read_at(&self, bytes: &mut [u8], offset: u64) -> Option<io::Result<usize>> {
        self.file.get()?.try_read_at(bytes, offset)
    }

    fn exists(&self) -> bool {
        self.file.get().is_some()
    }

    fn create(&self) -> io::Result<()> {
        self.created().map(drop)
    }
}
