//! One registered resource.

use std::sync::Arc;

use tokio::time::Instant;

use crate::moment::Moment;
use crate::{CostClass, Disposable, DisposableResource, Footprint, Size};

/// Names a registered resource to its tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    pub(crate) slot: usize,
    /// Slots are used again, serial numbers are not.
    pub(crate) serial: u64,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: ResourceId,
    pub(crate) disposable: Arc<dyn Disposable>,
    /// A clone of the disposable's own, so that no foreign code runs under the registry's lock.
    pub(crate) resource: DisposableResource,
    pub(crate) class: CostClass,
    pub(crate) footprint: Footprint,
    pub(crate) place: Place,
    /// How often its disposal has failed.
    pub(crate) failures: u32,
}

/// Where the registry keeps an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On a shelf, under the time it was last used as far as the registry knows.
    Shelf(Moment),
    /// Seen in use; comes back when the last user leaves.
    InUse,
    /// To be disposed of whatever the limits say.
    Discarded,
    /// Being disposed of.
    Disposing,
    /// Being disposed of for so long that nobody counts on it any more.
    Overdue,
    /// Its disposal failed and is tried again then.
    Quarantined(Instant),
    /// Something outside of this process uses it; looked at again then.
    Elsewhere(Instant),
}

/// Shelves hold what is alike in all that matters to a choice, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShelfKey {
    pub(crate) class: CostClass,
    disk: Kind,
    memory: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    None,
    Unknown,
    Known,
}

/// What a resource must take for a choice to be of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinds {
    /// Anything.
    Any,
    /// Something on disk.
    Disk,
    /// Something on disk whose size is known.
    SizedDisk,
    /// Some memory.
    Memory,
}

impl Place {
    /// Whether what is here takes room, and will go on to as far as anybody knows.
    pub(crate) fn takes_room(self) -> bool {
        !matches!(self, Self::Disposing)
    }
}

impl Entry {
    pub(crate) fn shelf(&self) -> ShelfKey {
        ShelfKey {
            class: self.class,
            disk: kind(self.footprint.disk),
            memory: kind(self.footprint.memory),
        }
    }
}

impl ShelfKey {
    pub(crate) fn is_of(&self, kinds: Kinds) -> bool {
        match kinds {
            Kinds::Any => true,
            Kinds::Disk => self.disk != Kind::None,
            Kinds::SizedDisk => self.disk == Kind::Known,
            Kinds::Memory => self.memory != Kind::None,
        }
    }
}

fn kind(size: Size) -> Kind {
    match size {
        Size::None => Kind::None,
        Size::Unknown => Kind::Unknown,
        Size::Known(_) => Kind::Known,
    }
}
