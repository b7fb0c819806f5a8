//! The root of a folder cache on disk: its layout, its lock, and the ids that this process owns.
//!
//! ```text
//! .lock          locked by the process that has the root open; contains its process id
//! format         the version of this layout
//! index/<id>     the record of a folder that is ready for use
//! leases/<id>    the record of a folder under construction or in exclusive use
//! folders/<id>   the folder
//! trash/         folders to be removed
//! ```
//!
//! A record moves between `index` and `leases` by one rename, so a crash leaves it in exactly one of them.
//! At start, every folder without a record in `index` is moved to the trash.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use runtime_gc::ResourceTracker;

use super::disk;
use super::error::OpenCacheError;

const FORMAT: &str = "1";

/// A root that this process has locked until the last folder below it is dropped.
#[derive(Debug)]
pub(super) struct Root {
    /// The name of the cache, for reports.
    pub(super) name: Arc<str>,
    pub(super) tracker: ResourceTracker,
    path: PathBuf,
    ids: Arc<OwnedIds>,
    next_serial: AtomicU64,
    /// An OS file lock: the kernel releases it at the end of the process, even after a crash, so the lock
    /// cannot be stale.
    _lock: File,
}

/// The ids of folders and trash that this process manages. All other entries on disk are leftovers of earlier
/// processes.
type OwnedIds = Mutex<HashSet<String>>;

/// An id that this process owns until this value is dropped. This value does not keep the root locked.
#[derive(Debug)]
pub(super) struct OwnedId {
    ids: Arc<OwnedIds>,
    pub(super) id: String,
}

impl Root {
    pub(super) fn open(
        path: &Path,
        name: &str,
        tracker: ResourceTracker,
    ) -> Result<Arc<Self>, OpenCacheError> {
        let io = |source| OpenCacheError::Io {
            root: path.to_owned(),
            source,
        };
        disk::create_folders(path).map_err(io)?;
        // Absolute, since tasks use the paths of folders from another working directory.
        let path = path.canonicalize().map_err(io)?;
        let lock = lock(&path)?;
        let root = Self {
            name: name.into(),
            tracker,
            path,
            ids: Arc::default(),
            next_serial: AtomicU64::new(0),
            _lock: lock,
        };
        // After the lock, since an empty root is initialized here.
        root.check_format()?;
        for folder in [root.index(), root.leases(), root.folders(), root.trash()] {
            disk::create_folders(&folder).map_err(io)?;
        }
        Ok(Arc::new(root))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn in_index(&self, id: &OwnedId) -> PathBuf {
        self.index().join(&id.id)
    }

    pub(super) fn in_leases(&self, id: &OwnedId) -> PathBuf {
        self.leases().join(&id.id)
    }

    pub(super) fn folder(&self, id: &OwnedId) -> PathBuf {
        self.folders().join(&id.id)
    }

    pub(super) fn index(&self) -> PathBuf {
        self.path.join("index")
    }

    pub(super) fn leases(&self) -> PathBuf {
        self.path.join("leases")
    }

    pub(super) fn folders(&self) -> PathBuf {
        self.path.join("folders")
    }

    pub(super) fn trash(&self) -> PathBuf {
        self.path.join("trash")
    }

    /// Creates an id that was never used in this root.
    pub(super) fn new_id(&self) -> OwnedId {
        // The time distinguishes processes. A path must not be reused, since it may be part of a folder's content,
        // for example in the configuration of a build.
        let now = millis(SystemTime::now());
        let serial = self.next_serial.fetch_add(1, Ordering::Relaxed);
        self.own(format!("{now:x}-{serial:x}"))
    }

    /// Takes ownership of an existing id.
    pub(super) fn own(&self, id: String) -> OwnedId {
        self.ids.lock().insert(id.clone());
        let ids = Arc::clone(&self.ids);
        OwnedId { ids, id }
    }

    /// Returns whether this process owns the id that a file is named after.
    pub(super) fn is_owned(&self, name: &str) -> bool {
        // Temporary files and copies in the trash have a suffix after the id.
        let id = name.split('.').next().unwrap_or(name);
        let ids = self.ids.lock();
        ids.contains(id) || ids.contains(name)
    }

    /// Moves a folder to the trash, and returns its path.
    ///
    /// The time of a rename does not depend on the size of the folder, and it frees the path at once. If the rename
    /// fails, as for a mount point, the folder is removed in place.
    pub(super) fn move_to_trash(&self, path: PathBuf) -> PathBuf {
        match disk::move_into(&self.trash(), &path) {
            Ok(moved) => moved,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path,
            Err(error) => {
                let path_text = path.display();
                tracing::warn!(path = %path_text, %error, "cannot move a folder to the trash: removing it in place");
                path
            }
        }
    }

    fn check_format(&self) -> Result<(), OpenCacheError> {
        let path = self.path.join("format");
        let io = |source| OpenCacheError::Io {
            root: self.path.clone(),
            source,
        };
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim() == FORMAT => Ok(()),
            Ok(text) => Err(OpenCacheError::Format {
                root: self.path.clone(),
                found: text.trim().to_owned(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Synced: after a power loss, an empty file would count as an unknown format, and
                // the root could not be opened.
                disk::write(&path, FORMAT.as_bytes(), disk::Sync::Yes).map_err(io)
            }
            Err(error) => Err(io(error)),
        }
    }
}

impl Drop for OwnedId {
    fn drop(&mut self) {
        self.ids.lock().remove(&self.id);
    }
}

fn lock(root: &Path) -> Result<File, OpenCacheError> {
    let path = root.join(".lock");
    let io = |source| OpenCacheError::Io {
        root: root.to_owned(),
        source,
    };
    // Not truncated before it is locked: it may contain the process id of another owner.
    let mut options = File::options();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenCacheError::Locked {
                root: root.to_owned(),
                holder: read_holder(&mut file),
            });
        }
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    // Only for the error message above, so a failure does not matter.
    let _ = file
        .set_len(0)
        .and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

fn read_holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Returns the milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
