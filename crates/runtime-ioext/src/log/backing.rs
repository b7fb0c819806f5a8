//! The file interface of a log.

use std::fmt;
use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicBool, Ordering};

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
    pub(super) fn new(file: File) -> Self {
        #[cfg(target_os = "linux")]
        reserve(&file);
        Self {
            file,
            #[cfg(target_os = "linux")]
            supports_nowait: AtomicBool::new(true),
        }
    }
}

/// Reserves space at the start of the file, without changing its length.
#[cfg(target_os = "linux")]
fn reserve(file: &File) {
    use rustix::fs::{FallocateFlags, fallocate};

    // Some file systems do not support it. Their logs work until the disk is full.
    // `KEEP_SIZE`: readers and `extract` compare the length of the file with that of the log.
    let _ = fallocate(file, FallocateFlags::KEEP_SIZE, 0, RESERVE);
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
