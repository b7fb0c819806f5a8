//! A file in memory that fails as tests want it.

use std::io;
use std::sync::Arc;

use super::backing::Backing;
use super::core::Core;
use super::limits::Limits;
use super::{FollowedLog, Owner};
use crate::sys::Mutex;

/// A disk of a size, on which the log's file lies. Clones are the same disk.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    size: usize,
    /// The most that one write takes.
    at_once: usize,
}

impl Disk {
    pub(super) fn new(size: usize, at_once: usize) -> Self {
        Self {
            bytes: Arc::new(Mutex::new(Vec::new())),
            size,
            at_once,
        }
    }

    pub(super) fn log(&self, limits: Limits) -> FollowedLog {
        let core = Core::new("disk".into(), Box::new(self.clone()), limits);
        FollowedLog {
            owner: Arc::new(Owner {
                core: Arc::new(core),
            }),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().clone()
    }

    /// Takes bytes away, as somebody might who writes to the file by its name.
    #[cfg(not(runtime_loom))]
    pub(super) fn cut(&self, len: usize) {
        self.bytes.lock().truncate(len);
    }
}

impl Backing for Disk {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut file = self.bytes.lock();
        assert_eq!(file.len() as u64, offset, "a log only appends");
        let len = bytes.len().min(self.at_once).min(self.size - file.len());
        file.extend_from_slice(&bytes[..len]);
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
}
