//! All resources, ordered by when they would go.
//!
//! The order is lazy: using a resource does not touch the registry. A shelf keeps each resource under
//! the time at which the registry last knew it to be used, which is never later than the truth. Whoever
//! takes the oldest looks at the truth and puts it back where it belongs, so the choice is exact, and
//! each correction is paid for by a use. What is found in use leaves its shelf until it is idle again.
//!
//! Nothing in here runs foreign code or waits, and what is called often takes logarithmic time at most,
//! so nobody waits long for the lock around it.

mod choice;
mod entry;
mod totals;

pub(crate) use choice::{Next, Victim, Want};
pub use entry::ResourceId;
pub(crate) use entry::{Entry, Kinds, Place, ShelfKey};
pub(crate) use totals::{ClassTotals, Gain, Gained, Totals};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use slab::Slab;
use tokio::time::Instant;

use crate::moment::Moment;
use crate::shared::Shared;
use crate::{CostClass, Disposable, DisposableResource, Footprint};

/// The way from a resource back to its place.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) shared: Weak<Shared>,
    pub(crate) id: ResourceId,
}

impl Link {
    /// The last user of a watched resource has left.
    pub(crate) fn idle(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.idle(self.id);
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: Slab<Entry>,
    next_serial: u64,
    shelves: BTreeMap<ShelfKey, BTreeSet<(Moment, usize)>>,
    discarded: BTreeSet<ResourceId>,
    /// Those that wait for a time to come.
    later: BTreeSet<(Instant, ResourceId)>,
    pub(crate) totals: ClassTotals,
    pub(crate) in_flight: Gain,
    /// How many were seen in use. All that are, once a collection has found nothing idle any more.
    pub(crate) in_use: u64,
    pub(crate) quarantined: u64,
}

/// What the caller learned about a resource before it took the lock.
pub(crate) struct Newcomer {
    pub(crate) disposable: Arc<dyn Disposable>,
    pub(crate) resource: DisposableResource,
    pub(crate) class: CostClass,
    pub(crate) footprint: Footprint,
}

impl Registry {
    pub(crate) fn insert(&mut self, new: Newcomer) -> ResourceId {
        let serial = self.next_serial;
        self.next_serial += 1;
        let place = Place::Shelf(new.resource.last_used());
        let vacant = self.entries.vacant_entry();
        let slot = vacant.key();
        let id = ResourceId { slot, serial };
        vacant.insert(Entry {
            id,
            disposable: new.disposable,
            resource: new.resource,
            class: new.class,
            footprint: new.footprint,
            place,
            failures: 0,
        });
        self.put(slot, place);
        id
    }

    /// Takes a resource out, unless it is being disposed of or must be.
    pub(crate) fn remove(&mut self, id: ResourceId) -> Option<Entry> {
        let entry = self.get(id)?;
        if !matches!(
            entry.place,
            Place::Shelf(_) | Place::InUse | Place::Elsewhere(_)
        ) {
            return None;
        }
        self.lift(id.slot);
        Some(self.entries.remove(id.slot))
    }

    pub(crate) fn disposable(&self, id: ResourceId) -> Option<Arc<dyn Disposable>> {
        self.get(id).map(|entry| Arc::clone(&entry.disposable))
    }

    /// Changes what a resource takes.
    pub(crate) fn resize(&mut self, id: ResourceId, footprint: Footprint) {
        let Some(entry) = self.get(id) else { return };
        let place = entry.place;
        if place == Place::Disposing {
            // It counts as what it was chosen for until it is gone.
            return;
        }
        self.lift(id.slot);
        self.entries[id.slot].footprint = footprint;
        self.put(id.slot, place);
    }

    /// A watched resource has lost its last user.
    pub(crate) fn idle(&mut self, id: ResourceId) {
        let Some(entry) = self.get(id) else { return };
        if entry.place != Place::InUse {
            return;
        }
        let place = if entry.resource.is_retired() {
            Place::Discarded
        } else {
            Place::Shelf(entry.resource.last_used())
        };
        self.move_to(id.slot, place);
    }

    /// Lets nobody use a resource any more and disposes of it as soon as it is idle.
    pub(crate) fn discard(&mut self, id: ResourceId) -> bool {
        let Some(entry) = self.get(id) else {
            return false;
        };
        // Should its disposal find that something outside uses it, it is not to be used here again.
        let is_idle = entry.resource.retire();
        let place = match entry.place {
            Place::Disposing | Place::Overdue | Place::Quarantined(_) | Place::Discarded => {
                return true;
            }
            _ if is_idle => Place::Discarded,
            _ => Place::InUse,
        };
        self.move_to(id.slot, place);
        true
    }

    /// Counts on a disposal no longer, which goes on: what it would free is needed from others.
    pub(crate) fn overdue(&mut self, id: ResourceId) {
        if self.get(id).is_some() {
            self.move_to(id.slot, Place::Overdue);
        }
    }

    /// Ends a disposal that has succeeded.
    pub(crate) fn disposed(&mut self, id: ResourceId) -> Option<Entry> {
        self.get(id)?;
        self.lift(id.slot);
        Some(self.entries.remove(id.slot))
    }

    /// Ends a disposal that has failed; it is tried again after a time that grows with the failures.
    pub(crate) fn failed(&mut self, id: ResourceId, after: impl FnOnce(u32) -> Instant) -> u32 {
        let Some(entry) = self.get_mut(id) else {
            return 0;
        };
        entry.failures = entry.failures.saturating_add(1);
        let failures = entry.failures;
        self.move_to(id.slot, Place::Quarantined(after(failures)));
        failures
    }

    /// Ends a disposal of what something else uses.
    pub(crate) fn in_use_elsewhere(&mut self, id: ResourceId, until: Instant) {
        let Some(entry) = self.get(id) else { return };
        entry.resource.unclaim();
        self.move_to(id.slot, Place::Elsewhere(until));
    }

    /// Some of the entries in the order of their slots, and the slot to go on at.
    pub(crate) fn chunk(&self, from: usize, most: usize) -> (Vec<&Entry>, Option<usize>) {
        let end = from.saturating_add(most).min(self.slots());
        let entries = (from..end).filter_map(|slot| self.entries.get(slot));
        (entries.collect(), (end < self.slots()).then_some(end))
    }

    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.later.first().map(|(when, _)| *when)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) -> Vec<Entry> {
        let cleared = Self {
            // Ids of what is forgotten must not come to mean something else.
            next_serial: self.next_serial,
            ..Self::default()
        };
        std::mem::replace(self, cleared)
            .entries
            .into_iter()
            .map(|(_, entry)| entry)
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn slots(&self) -> usize {
        self.entries.capacity()
    }

    fn get(&self, id: ResourceId) -> Option<&Entry> {
        self.entries.get(id.slot).filter(|entry| entry.id == id)
    }

    fn get_mut(&mut self, id: ResourceId) -> Option<&mut Entry> {
        self.entries.get_mut(id.slot).filter(|entry| entry.id == id)
    }

    fn move_to(&mut self, slot: usize, place: Place) {
        self.lift(slot);
        self.put(slot, place);
    }

    /// Takes an entry from the place where it is.
    fn lift(&mut self, slot: usize) {
        let entry = &self.entries[slot];
        if entry.place.takes_room() {
            self.totals.subtract(entry.class, &entry.footprint);
        }
        match entry.place {
            Place::Shelf(moment) => {
                if let Some(shelf) = self.shelves.get_mut(&entry.shelf()) {
                    shelf.remove(&(moment, slot));
                }
            }
            Place::InUse => self.in_use -= 1,
            Place::Discarded => drop(self.discarded.remove(&entry.id)),
            Place::Disposing => self.in_flight.subtract(&entry.footprint),
            Place::Overdue => {}
            Place::Quarantined(when) => {
                self.quarantined -= 1;
                self.later.remove(&(when, entry.id));
            }
            Place::Elsewhere(when) => drop(self.later.remove(&(when, entry.id))),
        }
    }

    /// Puts an entry that is nowhere to a place.
    fn put(&mut self, slot: usize, place: Place) {
        let entry = &mut self.entries[slot];
        entry.place = place;
        if place.takes_room() {
            self.totals.add(entry.class, &entry.footprint);
        }
        match place {
            Place::Shelf(moment) => {
                let shelf = self.shelves.entry(entry.shelf()).or_default();
                shelf.insert((moment, slot));
            }
            Place::InUse => self.in_use += 1,
            Place::Discarded => drop(self.discarded.insert(entry.id)),
            Place::Disposing => self.in_flight.add(&entry.footprint),
            Place::Overdue => {}
            Place::Quarantined(when) => {
                self.quarantined += 1;
                self.later.insert((when, entry.id));
            }
            Place::Elsewhere(when) => drop(self.later.insert((when, entry.id))),
        }
    }
}
