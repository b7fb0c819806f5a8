//! Selection of the next resource to dispose of.

use tokio::time::Instant;

use super::entry::{Entry, EntryState};
use super::lru::EvictionFilter;
use super::table::Registry;
use crate::use_count::Claim;

/// The result of a selection.
#[derive(Debug)]
pub(crate) enum Selection {
    /// A resource that is now claimed for disposal.
    Victim(Entry),
    /// No resource matches.
    Exhausted,
    /// The budget is used up: release the lock and call again.
    OutOfBudget,
}

impl Registry {
    /// Claims the cheapest and least recently used resource that matches.
    pub(crate) fn select(&mut self, filter: &EvictionFilter, budget: &mut u32) -> Selection {
        while let Some((key, (known_last_used, slot))) = self.idle.next_victim(filter) {
            if !spend(budget) {
                return Selection::OutOfBudget;
            }
            let resource = self.entries[slot].resource();
            let last_used = resource.last_used();
            // The order is lazy (see `Registry`): the resource was used since, so correct its position.
            if last_used != known_last_used {
                debug_assert!(last_used > known_last_used, "time of last use went back");
                // The loop ends: each correction moves a resource to its actual position, and times
                // only grow.
                self.set_state(slot, EntryState::Idle(last_used));
                continue;
            }
            // A use that ends between the read above and this claim is missed. The victim is then
            // not the oldest one, which is harmless; a resource in use is never claimed.
            match resource.uses().claim() {
                Claim::Claimed => return Selection::Victim(self.start_disposal(slot)),
                Claim::InUse => self.set_state(slot, EntryState::InUse),
                // Cannot happen, since only the registry claims. Left in the bucket, it would be selected forever.
                Claim::AlreadyClaimed => self.idle.remove(key, (known_last_used, slot)),
            }
        }
        Selection::Exhausted
    }

    /// Claims a resource to dispose of regardless of limits: discarded, or due for a retry.
    pub(crate) fn select_due(&mut self, now: Instant, budget: &mut u32) -> Selection {
        loop {
            if !spend(budget) {
                return Selection::OutOfBudget;
            }
            if let Some(id) = self.discarded.first().copied() {
                // Usually idle. But the notification of an earlier idle period may arrive after a new user and
                // the discard, and so put a resource here that is still in use.
                if self.entries[id.slot].resource().uses().claim() == Claim::InUse {
                    self.set_state(id.slot, EntryState::InUse);
                    continue;
                }
                return Selection::Victim(self.start_disposal(id.slot));
            }
            match self.retries.first().copied() {
                Some((time, id)) if time <= now => match self.entries[id.slot].state {
                    // It stayed claimed when its disposal failed.
                    EntryState::Quarantined(_) => {
                        return Selection::Victim(self.start_disposal(id.slot));
                    }
                    _ => self.recheck(id.slot),
                },
                _ => return Selection::Exhausted,
            }
        }
    }

    /// Moves the time of all retries to now.
    pub(crate) fn expedite_retries(&mut self, now: Instant) {
        // Copied, because `set_state` modifies `retries`.
        let waiting: Vec<_> = self.retries.iter().map(|(_, id)| *id).collect();
        for id in waiting {
            match self.entries[id.slot].state {
                EntryState::Quarantined(_) => {
                    self.set_state(id.slot, EntryState::Quarantined(now));
                }
                _ => self.recheck(id.slot),
            }
        }
    }

    /// Returns a resource that was in use outside this process to the eligible ones.
    fn recheck(&mut self, slot: usize) {
        let resource = self.entries[slot].resource();
        // It may have been discarded meanwhile, and may be in use by this process.
        let state = if !resource.is_retired() {
            EntryState::Idle(resource.last_used())
        } else if resource.uses().retire() {
            EntryState::Discarded
        } else {
            EntryState::InUse
        };
        self.set_state(slot, state);
    }

    fn start_disposal(&mut self, slot: usize) -> Entry {
        self.set_state(slot, EntryState::Disposing);
        self.entries[slot].clone()
    }
}

fn spend(budget: &mut u32) -> bool {
    let Some(remaining) = budget.checked_sub(1) else {
        return false;
    };
    *budget = remaining;
    true
}
