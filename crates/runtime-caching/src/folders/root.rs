//! A root on disk: its layout, its lock, and who has which part of it.
//!
//! ```text
//! .lock          held by the process that has the root open; its id is in it
//! format         the version of this layout
//! index/<id>     the record of a folder that is fit to be handed out
//! leases/<id>    the record of one that is not: it is being made, or a user changes it
//! folders/<id>   what it holds
//! trash/         what is being removed
//! ```
//!
//! A record is moved between `index` and `leases` by one rename, so it is in one of them or in neither.
//! At start, what has no record in `index` goes to the trash.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use runtime_gc::ResourceTracker;

use super::OpenCacheError;
use super::disk;
use super::leftover::Leftover;

const FORMAT: &str = "1";

/// A root that this process has locked. The lock is held until the last user of a part is gone.
#[derive(Debug)]
pub(super) struct Root {
    /// The name of the cache, for reports.
    pub(super) name: Arc<str>,
    pub(super) tracker: ResourceTracker,
    path: PathBuf,
    ids: Arc<Ids>,
    next: AtomicU64,
    /// The operating system gives the lock back when the process ends, in whatever way.
    _lock: File,
}

/// What somebody in this process is in charge of; the rest of what is on disk is left over.
type Ids = Mutex<HashSet<String>>;

/// Being in charge of what has this id, wherever in the root it is. It does not keep the root locked.
#[derive(Debug)]
pub(super) struct Owned {
    ids: Arc<Ids>,
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
        // Tasks see paths of folders, and work elsewhere.
        let path = path.canonicalize().map_err(io)?;
        let lock = lock(&path)?;
        let root = Self {
            name: name.into(),
            tracker,
            path,
            ids: Arc::default(),
            next: AtomicU64::new(0),
            _lock: lock,
        };
        root.check_format()?;
        for folder in [root.index(), root.leases(), root.folders(), root.trash()] {
            disk::create_folders(&folder).map_err(io)?;
        }
        Ok(Arc::new(root))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The record of a folder that may be handed out.
    pub(super) fn in_index(&self, owned: &Owned) -> PathBuf {
        self.index().join(&owned.id)
    }

    /// The record of a folder that may not.
    pub(super) fn in_leases(&self, owned: &Owned) -> PathBuf {
        self.leases().join(&owned.id)
    }

    pub(super) fn folder(&self, owned: &Owned) -> PathBuf {
        self.folders().join(&owned.id)
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

    /// Puts somebody in charge of an id that nothing has.
    pub(super) fn own_new(&self) -> Owned {
        // The time makes ids of different processes differ, so that a path means one folder for ever.
        let now = millis(SystemTime::now());
        let serial = self.next.fetch_add(1, Ordering::Relaxed);
        self.own(format!("{now:x}-{serial:x}"))
    }

    pub(super) fn own(&self, id: String) -> Owned {
        self.ids.lock().insert(id.clone());
        let ids = Arc::clone(&self.ids);
        Owned { ids, id }
    }

    /// Whether somebody in this process is in charge of a file of this name.
    pub(super) fn is_owned(&self, name: &str) -> bool {
        // A file that is being written, and a copy in the trash, have something after the id.
        let id = name.split('.').next().unwrap_or(name);
        let ids = self.ids.lock();
        ids.contains(id) || ids.contains(name)
    }

    /// Has the collector remove what is left over at `path`, out of the way first if that can be.
    pub(super) fn throw_away(&self, owned: Owned, path: PathBuf) {
        let path = if path.parent() == Some(&self.trash()) {
            path
        } else {
            self.move_to_trash(path)
        };
        Leftover::register(self, owned, path);
    }

    /// Where it is now: in the trash, or still where it was if it cannot be moved, as a mount point cannot.
    pub(super) fn move_to_trash(&self, path: PathBuf) -> PathBuf {
        match disk::move_into(&self.trash(), &path) {
            Ok(moved) => moved,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path,
            Err(error) => {
                let path_text = path.display();
                tracing::warn!(path = %path_text, %error, "cannot be moved to the trash; removing it in place");
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
                disk::write(&path, FORMAT.as_bytes()).map_err(io)
            }
            Err(error) => Err(io(error)),
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.ids.lock().remove(&self.id);
    }
}

fn lock(root: &Path) -> Result<File, OpenCacheError> {
    let path = root.join(".lock");
    let wrap = |source| OpenCacheError::Io {
        root: root.to_owned(),
        source,
    };
    let mut options = File::options();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(wrap)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenCacheError::Locked {
                root: root.to_owned(),
                holder: holder(&mut file),
            });
        }
        Err(TryLockError::Error(source)) => return Err(wrap(source)),
    }
    // Only for the message above, so it does not matter if it cannot be written.
    let _ = file
        .set_len(0)
        .and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
