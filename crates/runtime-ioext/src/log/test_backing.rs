//! An in-memory file with injected failures.

use std::io;
use std::sync::Arc;

use super::FollowedLog;
use super::backing::Backing;
use super::buffer_limits::BufferLimits;
use super::shared::SharedLog;
use crate::sys::Mutex;

/// A disk of limited size with the file of one log. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    size: usize,
    /// Maximum size of a write.
    at_once: usize,
    /// Whether the file exists only once it has bytes.
    is_spooled: bool,
}

impl Disk {
    pub(super) fn new(size: usize, at_once: usize) -> Self {
        Self {
            bytes: Arc::new(Mutex::new(Vec::new())),
            size,
            at_once,
            is_spooled: false,
        }
    }

    /// Creates a disk on which the file does not exist before the first write.
    #[cfg(runtime_loom)]
    pub(super) fn spooled(size: usize, at_once: usize) -> Self {
        Self {
            is_spooled: true,
            ..Self::new(size, at_once)
        }
    }

    pub(super) fn log(&self, buffer_limits: BufferLimits) -> FollowedLog {
        let shared = SharedLog::new("disk".into(), Box::new(self.clone()), buffer_limits);
        FollowedLog::from_shared(shared)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().clone()
    }

    /// Blocks reads and writes until the guard is dropped.
    #[cfg(not(runtime_loom))]
    pub(super) fn hang(&self) -> impl Drop + '_ {
        self.bytes.lock()
    }

    /// Truncates the file, as another process might.
    #[cfg(not(runtime_loom))]
    pub(super) fn cut(&self, len: usize) {
        self.bytes.lock().truncate(len);
    }
}

impl Backing for Disk {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut file = self.bytes.lock();
        let offset = offset as usize;
        assert!(
            file.len() == offset || (file.len() == self.size && offset < self.size),
            "a log appends, unless the disk is full"
        );
        let len = bytes.len().min(self.at_once).min(self.size - offset);
        let overwritten = offset..file.len().min(offset + len);
        file.splice(overwritten, bytes[..len].iter().copied());
        match len {
            0 => Err(io::ErrorKind::StorageFull.into()),
            len => Ok(len),
        }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = self.bytes.lock();
        let rest = &file[file.len().min(offset as usize)..];
        let len = rest.len().min(bytes.len()).min(self.at_once);
        bytes[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.bytes.lock().truncate(len as usize);
        Ok(())
    }

    fn exists(&self) -> bool {
        !self.is_spooled || !self.bytes.lock().is_empty()
    }
}
