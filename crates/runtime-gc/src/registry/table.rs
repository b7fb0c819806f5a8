//! The registry: a slab of entries, indexed by their states.

use std::collections::BTreeSet;
use std::sync::Arc;

use slab::Slab;
use tokio::time::Instant;

use super::entry::{Entry, EntryState};
use super::lru::{BucketKey, LruBuckets};
use super::totals::{ClassTotals, FootprintSum};
use crate::cost_class::CostClass;
use crate::disposable::Disposable;
use crate::footprint::Footprint;
use crate::resource::ResourceId;

/// All registered resources. The caller holds a lock around it.
///
/// The LRU order is updated lazily: a use of a resource does not access the registry, because each cache hit
/// would then take the lock. A bucket holds each resource under the time of last use that the registry last
/// read, which is never later than the actual time. A selection compares the recorded time of the oldest
/// resource with its actual time. If it was used since, it is moved to its new position. So the choice is
/// exact, and there is at most one correction per use. A resource found in use leaves its bucket until it is
/// idle.
///
/// No method blocks or runs foreign code except [`Disposable::resource`], and frequent ones take logarithmic time, so the lock is held briefly.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(super) entries: Slab<Entry>,
    next_serial: u64,
    pub(super) idle: LruBuckets,
    pub(super) discarded: BTreeSet<ResourceId>,
    /// Quarantined resources and those in use elsewhere, by the time of the next attempt.
    pub(super) retries: BTreeSet<(Instant, ResourceId)>,
    pub(crate) totals: ClassTotals,
    /// The sum of the disposals in progress, without overdue ones.
    pub(crate) in_flight: FootprintSum,
    /// The number of times a disposal ended or became overdue. Statistics read before such a change do not match
    /// the sums after it.
    pub(crate) ended_disposals: u64,
    /// The number of resources found in use. After a collection that found nothing idle, these are all in use.
    pub(crate) in_use: u64,
    pub(crate) quarantined: u64,
}

impl Registry {
    /// Adds a resource. The arguments are read from it before the registry is locked.
    pub(crate) fn insert(
        &mut self,
        disposable: Arc<dyn Disposable>,
        class: CostClass,
        footprint: Footprint,
    ) -> ResourceId {
        // The slab reuses slots. The serial keeps an old id from referring to a new resource.
        let serial = self.next_serial;
        self.next_serial += 1;
        let state = EntryState::Idle(disposable.resource().last_used());
        let vacant = self.entries.vacant_entry();
        let slot = vacant.key();
        let id = ResourceId { slot, serial };
        vacant.insert(Entry {
            id,
            disposable,
            class,
            footprint,
            state,
            failures: 0,
        });
        self.link(slot, state);
        id
    }

    /// Removes a resource, unless it is being disposed of or must be disposed of.
    pub(crate) fn remove(&mut self, id: ResourceId) -> Option<Entry> {
        match self.get(id)?.state {
            // Not a discarded or quarantined one: its owner has given it up, and only the collector
            // frees its space.
            EntryState::Idle(_) | EntryState::InUse | EntryState::InUseElsewhere(_) => {
                self.delete(id)
            }
            _ => None,
        }
    }

    pub(crate) fn disposable(&self, id: ResourceId) -> Option<Arc<dyn Disposable>> {
        self.get(id).map(|entry| Arc::clone(&entry.disposable))
    }

    pub(crate) fn set_footprint(&mut self, id: ResourceId, footprint: Footprint) {
        let Some(entry) = self.get(id) else { return };
        let state = entry.state;
        // `in_flight` holds the footprint of the selection until the disposal ends.
        if state == EntryState::Disposing {
            return;
        }
        self.unlink(id.slot);
        self.entries[id.slot].footprint = footprint;
        self.link(id.slot, state);
    }

    /// Records that a watched resource lost its last user.
    pub(crate) fn mark_idle(&mut self, id: ResourceId) {
        let Some(entry) = self.get(id) else { return };
        // The notification follows the release without a lock. Meanwhile a collection may have
        // found the resource idle, or claimed it.
        if entry.state != EntryState::InUse {
            return;
        }
        let state = if entry.resource().is_retired() {
            EntryState::Discarded
        } else {
            EntryState::Idle(entry.resource().last_used())
        };
        self.set_state(id.slot, state);
    }

    /// Refuses new users, and disposes of the resource as soon as it is idle. Returns whether it exists.
    pub(crate) fn discard(&mut self, id: ResourceId) -> bool {
        let Some(entry) = self.get(id) else {
            return false;
        };
        // Retired even while it is being disposed of: if that finds it in use elsewhere, the resource is
        // unclaimed and would accept new users.
        let is_idle = entry.resource().uses().retire();
        match entry.state {
            EntryState::Disposing
            | EntryState::Overdue
            | EntryState::Quarantined(_)
            | EntryState::Discarded => {}
            _ if is_idle => self.set_state(id.slot, EntryState::Discarded),
            // Even if the registry knew it as idle: `mark_idle` acts only on this state, and would
            // ignore the last release.
            _ => self.set_state(id.slot, EntryState::InUse),
        }
        true
    }

    /// Records that a disposal exceeded the soft timeout and counts its space as occupied again.
    pub(crate) fn mark_overdue(&mut self, id: ResourceId) {
        if self.get(id).is_some() {
            self.set_state(id.slot, EntryState::Overdue);
        }
    }

    /// Removes a resource whose disposal succeeded.
    pub(crate) fn end_disposal(&mut self, id: ResourceId) -> Option<Entry> {
        self.delete(id)
    }

    /// Quarantines a resource whose disposal failed, and returns the number of failures.
    ///
    /// The resource remains claimed, since it may be partly removed and must not be used. The time of the
    /// retry depends on the number of failures.
    pub(crate) fn quarantine(
        &mut self,
        id: ResourceId,
        retry_at: impl FnOnce(u32) -> Instant,
    ) -> u32 {
        let Some(entry) = self.get_mut(id) else {
            return 0;
        };
        entry.failures = entry.failures.saturating_add(1);
        let failures = entry.failures;
        self.set_state(id.slot, EntryState::Quarantined(retry_at(failures)));
        failures
    }

    /// Unclaims a resource whose disposal found it in use outside this process.
    ///
    /// The resource is not eligible before `until`: otherwise each collection would try its disposal again
    /// and free nothing.
    pub(crate) fn mark_in_use_elsewhere(&mut self, id: ResourceId, until: Instant) {
        let Some(entry) = self.get(id) else { return };
        entry.resource().uses().unclaim();
        self.set_state(id.slot, EntryState::InUseElsewhere(until));
    }

    /// Returns the entries of up to `limit` slots, starting at slot `from`, and the slot at which to
    /// continue.
    pub(crate) fn chunk(&self, from: usize, limit: usize) -> (Vec<&Entry>, Option<usize>) {
        // The capacity and not the length: the slab may have vacant slots in between.
        let slots = self.entries.capacity();
        let end = from.saturating_add(limit).min(slots);
        let entries = (from..end).filter_map(|slot| self.entries.get(slot));
        (entries.collect(), (end < slots).then_some(end))
    }

    /// Returns the sum of the disposals in progress, unless `ended_disposals` has changed.
    pub(crate) fn in_flight_since(&self, ended_disposals: u64) -> Option<FootprintSum> {
        (self.ended_disposals == ended_disposals).then_some(self.in_flight)
    }

    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.retries.first().map(|(time, _)| *time)
    }

    /// Removes all entries.
    pub(crate) fn clear(&mut self) -> Vec<Entry> {
        let cleared = Self {
            // Old ids must not refer to entries that are registered later.
            next_serial: self.next_serial,
            ..Self::default()
        };
        let entries = std::mem::replace(self, cleared).entries;
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn delete(&mut self, id: ResourceId) -> Option<Entry> {
        self.get(id)?;
        self.unlink(id.slot);
        Some(self.entries.remove(id.slot))
    }

    fn get(&self, id: ResourceId) -> Option<&Entry> {
        self.entries.get(id.slot).filter(|entry| entry.id == id)
    }

    fn get_mut(&mut self, id: ResourceId) -> Option<&mut Entry> {
        self.entries.get_mut(id.slot).filter(|entry| entry.id == id)
    }

    pub(super) fn set_state(&mut self, slot: usize, state: EntryState) {
        self.unlink(slot);
        self.link(slot, state);
    }

    /// Removes an entry from the indexes and sums of its state.
    fn unlink(&mut self, slot: usize) {
        let entry = &self.entries[slot];
        if entry.state.is_in_totals() {
            self.totals.subtract(entry.class, &entry.footprint);
        }
        match entry.state {
            EntryState::Idle(last_used) => {
                let key = BucketKey::new(entry.class, &entry.footprint);
                self.idle.remove(key, (last_used, slot));
            }
            EntryState::InUse => self.in_use -= 1,
            EntryState::Discarded => drop(self.discarded.remove(&entry.id)),
            EntryState::Disposing => {
                self.in_flight.subtract(&entry.footprint);
                self.ended_disposals += 1;
            }
            EntryState::Overdue => self.ended_disposals += 1,
            EntryState::Quarantined(time) => {
                self.quarantined -= 1;
                self.retries.remove(&(time, entry.id));
            }
            EntryState::InUseElsewhere(time) => drop(self.retries.remove(&(time, entry.id))),
        }
    }

    /// Sets the state of an unlinked entry and adds it to the indexes and sums.
    fn link(&mut self, slot: usize, state: EntryState) {
        let entry = &mut self.entries[slot];
        entry.state = state;
        if state.is_in_totals() {
            self.totals.add(entry.class, &entry.footprint);
        }
        match state {
            EntryState::Idle(last_used) => {
                let key = BucketKey::new(entry.class, &entry.footprint);
                self.idle.insert(key, (last_used, slot));
            }
            EntryState::InUse => self.in_use += 1,
            EntryState::Discarded => drop(self.discarded.insert(entry.id)),
            EntryState::Disposing => self.in_flight.add(&entry.footprint),
            EntryState::Overdue => {}
            EntryState::Quarantined(time) => {
                self.quarantined += 1;
                self.retries.insert((time, entry.id));
            }
            EntryState::InUseElsewhere(time) => drop(self.retries.insert((time, entry.id))),
        }
    }
}
