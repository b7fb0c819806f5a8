//! Which resource goes next.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Kinds, Place, Registry, ShelfKey};
use crate::moment::Moment;
use crate::uses::Claim;
use crate::{CostClass, Disposable, Footprint, ResourceId};

/// What a choice is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    /// Only this class.
    pub(crate) class: Option<CostClass>,
    /// Only what takes some of this.
    pub(crate) kinds: Kinds,
    /// Only what was last used before.
    pub(crate) before: Option<Moment>,
}

impl Want {
    /// Whether a resource on this shelf, last used then, is wanted.
    pub(crate) fn fits(&self, key: &ShelfKey, last_used: Moment) -> bool {
        self.class.is_none_or(|class| class == key.class)
            && key.is_of(self.kinds)
            && self.before.is_none_or(|before| last_used < before)
    }
}

/// What came of looking for one.
#[derive(Debug)]
pub(crate) enum Next {
    /// This one, which is claimed.
    Victim(Victim),
    /// There is no other.
    Nothing,
    /// The budget is used up: let others have the lock, then ask again.
    Pause,
}

/// A resource that was claimed to be disposed of.
#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) id: ResourceId,
    pub(crate) disposable: Arc<dyn Disposable>,
    pub(crate) class: CostClass,
    pub(crate) footprint: Footprint,
    /// How often its disposal has failed.
    pub(crate) failures: u32,
}

impl Registry {
    /// Claims the cheapest and least recently used of those wanted.
    pub(crate) fn next(&mut self, want: &Want, budget: &mut u32) -> Next {
        while let Some((key, moment, slot)) = self.head(want) {
            let Some(left) = budget.checked_sub(1) else {
                return Next::Pause;
            };
            *budget = left;
            let entry = &self.entries[slot];
            let last_used = entry.resource.last_used();
            if last_used != moment {
                debug_assert!(last_used > moment, "a resource was used before it was");
                self.move_to(slot, Place::Shelf(last_used));
                continue;
            }
            match entry.resource.claim() {
                Claim::Claimed => return Next::Victim(self.take(slot)),
                Claim::InUse => self.move_to(slot, Place::InUse),
                // Only the registry claims, so this is a resource that nobody can use; it must not stay in the way.
                Claim::Taken => drop(
                    self.shelves
                        .get_mut(&key)
                        .map(|it| it.remove(&(moment, slot))),
                ),
            }
        }
        Next::Nothing
    }

    /// Claims what is to be disposed of whatever the limits say.
    pub(crate) fn next_due(&mut self, now: Instant, budget: &mut u32) -> Next {
        loop {
            let Some(left) = budget.checked_sub(1) else {
                return Next::Pause;
            };
            *budget = left;
            if let Some(id) = self.discarded.first().copied() {
                // It is retired and idle, so nobody can be quicker.
                if self.entries[id.slot].resource.claim() == Claim::InUse {
                    self.move_to(id.slot, Place::InUse);
                    continue;
                }
                return Next::Victim(self.take(id.slot));
            }
            match self.later.first().copied() {
                Some((when, id)) if when <= now => match self.entries[id.slot].place {
                    Place::Quarantined(_) => return Next::Victim(self.take(id.slot)),
                    _ => self.back(id.slot),
                },
                _ => return Next::Nothing,
            }
        }
    }

    /// Makes everything that waits for a time due now.
    pub(crate) fn hurry(&mut self, now: Instant) {
        let waiting: Vec<_> = self.later.iter().map(|(_, id)| *id).collect();
        for id in waiting {
            match self.entries[id.slot].place {
                Place::Quarantined(_) => self.move_to(id.slot, Place::Quarantined(now)),
                _ => self.back(id.slot),
            }
        }
    }

    /// What something else used is looked at again.
    fn back(&mut self, slot: usize) {
        let resource = &self.entries[slot].resource;
        let place = match resource.is_retired() {
            true if resource.retire() => Place::Discarded,
            true => Place::InUse,
            false => Place::Shelf(resource.last_used()),
        };
        self.move_to(slot, place);
    }

    /// The oldest of the cheapest class that has any.
    fn head(&self, want: &Want) -> Option<(ShelfKey, Moment, usize)> {
        CostClass::ALL
            .into_iter()
            .find_map(|class| self.head_of(class, want))
    }

    fn head_of(&self, class: CostClass, want: &Want) -> Option<(ShelfKey, Moment, usize)> {
        self.shelves
            .iter()
            .filter(|(key, _)| key.class == class)
            .filter_map(|(key, shelf)| shelf.first().map(|&(moment, slot)| (*key, moment, slot)))
            .filter(|(key, moment, _)| want.fits(key, *moment))
            .min_by_key(|(_, moment, slot)| (*moment, *slot))
    }

    fn take(&mut self, slot: usize) -> Victim {
        self.move_to(slot, Place::Disposing);
        let entry = &self.entries[slot];
        Victim {
            id: entry.id,
            disposable: Arc::clone(&entry.disposable),
            class: entry.class,
            footprint: entry.footprint,
            failures: entry.failures,
        }
    }
}
