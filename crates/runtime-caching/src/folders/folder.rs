//! A folder that a cache keeps.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use parking_lot::Mutex;
use runtime_gc::{CostClass, DisposeError, Footprint};

use super::disk;
use super::record::Record;
use super::removal::Removal;
use super::root::{Owned, Root};
use crate::{Resource, Sharing, Uncommitted};

/// Tells whether a folder is as it should be.
pub(super) type Check = Box<dyn Fn(&Path) -> bool + Send + Sync>;

/// What all folders of a cache have in common.
pub(super) struct Policy {
    pub(super) sharing: Sharing,
    pub(super) class: CostClass,
    pub(super) check: Option<Check>,
}

impl Policy {
    /// Whether a folder is fit to be handed out again even if its user vanishes.
    fn trusts_users(&self) -> bool {
        match self.sharing {
            Sharing::Shared | Sharing::Exclusive(Uncommitted::Keep) => true,
            Sharing::Exclusive(Uncommitted::Dispose) => false,
        }
    }
}

/// A folder of a [`FolderCache`](crate::FolderCache), in the state that its record says.
pub(super) struct Folder {
    /// Keeps the root locked.
    root: Arc<Root>,
    owned: Owned,
    path: PathBuf,
    policy: Arc<Policy>,
    state: Mutex<State>,
    /// Made when the folder is to go.
    removal: Mutex<Option<Arc<Removal>>>,
}

#[derive(Debug)]
struct State {
    record: Record,
    /// `None` once the record was taken away: nobody gets the folder any more.
    place: Option<Place>,
}

/// Where the record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Index,
    Leases,
}

impl Folder {
    pub(super) fn new(
        root: Arc<Root>,
        owned: Owned,
        policy: Arc<Policy>,
        (record, place): (Record, Place),
    ) -> Self {
        Self {
            path: root.folder(&owned),
            root,
            owned,
            policy,
            state: Mutex::new(State {
                record,
                place: Some(place),
            }),
            removal: Mutex::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down that a user may change it, so that it goes if the user vanishes.
    pub(super) fn lend(&self) -> io::Result<()> {
        if self.policy.trusts_users() {
            return Ok(());
        }
        self.move_record(Place::Index, Place::Leases)
    }

    /// Writes down that it is fit to be handed out again, and what it takes now.
    ///
    /// It blocks for as long as it takes to count what is in it.
    pub(super) fn store(&self) -> io::Result<()> {
        let mut record = self.state.lock().record.clone();
        record.measure(&self.path);
        let mut state = self.state.lock();
        let Some(place) = state.place else {
            return Ok(());
        };
        record.write(&self.record_path(place))?;
        if place == Place::Leases {
            disk::rename(&self.record_path(place), &self.record_path(Place::Index))?;
        }
        *state = State {
            record,
            place: Some(Place::Index),
        };
        drop(state);
        disk::sync_folder(&self.root.index())
    }

    /// Writes down that it was used now.
    pub(super) fn touch(&self) {
        if self.state.lock().place == Some(Place::Index) {
            // It only decides in which order folders go after the next start. It may be gone by now.
            let record = File::options()
                .write(true)
                .open(self.root.in_index(&self.owned));
            let _ = record.and_then(|record| record.set_modified(SystemTime::now()));
        }
    }

    /// Takes its record away, so that nobody gets it after the next start either.
    fn forget(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if let Some(place) = state.place {
            disk::remove_file(&self.record_path(place))?;
        }
        state.place = None;
        Ok(())
    }

    fn move_record(&self, from: Place, to: Place) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.place == Some(from) {
            disk::rename(&self.record_path(from), &self.record_path(to))?;
            state.place = Some(to);
        }
        Ok(())
    }

    fn record_path(&self, place: Place) -> PathBuf {
        match place {
            Place::Index => self.root.in_index(&self.owned),
            Place::Leases => self.root.in_leases(&self.owned),
        }
    }

    /// Moves it out of the way, once.
    fn start_removal(&self) -> Arc<Removal> {
        let mut removal = self.removal.lock();
        let started = removal.get_or_insert_with(|| {
            let path = self.root.move_to_trash(self.path.clone());
            Arc::new(Removal::new(path))
        });
        Arc::clone(started)
    }
}

#[async_trait]
impl Resource for Folder {
    fn footprint(&self) -> Footprint {
        self.state.lock().record.footprint()
    }

    fn class(&self) -> CostClass {
        self.policy.class
    }

    fn is_intact(&self) -> bool {
        let there = fs::symlink_metadata(&self.path).is_ok_and(|it| it.is_dir());
        there
            && self
                .policy
                .check
                .as_ref()
                .is_none_or(|check| check(&self.path))
    }

    fn is_persistent(&self) -> bool {
        true
    }

    fn on_committed(&self) {
        if self.policy.trusts_users()
            && let Err(error) = self.move_record(Place::Leases, Place::Index)
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "cannot be recorded, so it is made again after the next start");
        }
    }

    fn on_discarded(&self) {
        if let Err(error) = self.forget() {
            let path = self.path.display();
            tracing::warn!(%path, %error, "its record cannot be removed, it is tried again");
        }
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        self.forget()?;
        self.start_removal().run().await
    }
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder")
            .field("path", &self.path)
            .field("place", &self.state.lock().place)
            .finish_non_exhaustive()
    }
}
