//! Reservations: checks whether the space can be freed at all, then collects to free it.

use tokio::time::Instant;

use super::core::Collector;
use crate::policy::PolicyInput;
use crate::registry::{Entry, EntryState, FootprintSum};
use crate::report::ExceededLimit;
use crate::reservation::{Reservation, ReserveError};
use crate::rule::{LimitKind, LimitRule};
use crate::shared::SystemState;
use crate::stats::Stats;

/// The rule that reserved bytes are added to.
const FREE_DISK: LimitRule = LimitRule {
    class: None,
    limit: LimitKind::FreeDisk,
};

impl Collector {
    pub(super) async fn reserve(&self, bytes: u64) -> Result<Reservation, ReserveError> {
        let reservation = self.admit(bytes)?;
        // The reservation is part of the minimum that this collection and concurrent ones evaluate.
        let report = self.collect().await;
        // A shortage of another rule does not matter: a class above its maximum does not prevent
        // the write.
        let Some(shortage) = report.shortages.iter().find(|it| it.rule == FREE_DISK) else {
            return Ok(reservation);
        };
        // Before the error is built, so that `reserved` lists the reservations of others only.
        drop(reservation);
        Err(self.with_state(|state| {
            let usage = self.resource_usage(state.in_flight);
            self.reserve_error(bytes, shortage.missing, state, &usage)
        }))
    }

    /// Adds the reservation if a collection may be able to free its space.
    ///
    /// Without this check, a request that is too large would evict all idle resources and still fail. The check
    /// and the addition are one decision. Otherwise, two requests for which there is space only once would both
    /// pass the check, and then both fail.
    fn admit(&self, bytes: u64) -> Result<Reservation, ReserveError> {
        self.with_state(|state| {
            let missing = missing_disk(&self.input_with(bytes, state));
            if missing > 0 {
                let usage = self.resource_usage(state.in_flight);
                let missing = missing.saturating_sub(usage.max_reclaimable(&state.stats));
                if missing > 0 {
                    return Err(self.reserve_error(bytes, missing, state, &usage));
                }
            }
            Ok(Reservation::new(&self.shared.reserved, bytes))
        })
    }

    /// Returns the policy input with additional reserved bytes.
    fn input_with<'a>(&'a self, bytes: u64, state: &'a SystemState) -> PolicyInput<'a> {
        let input = self.shared.policy_input(state, &[]);
        let reserved = input.reserved.saturating_add(bytes);
        PolicyInput { reserved, ..input }
    }

    fn resource_usage(&self, in_flight: FootprintSum) -> ResourceUsage {
        let now = Instant::now();
        let mut usage = ResourceUsage {
            reclaimable: in_flight,
            ..ResourceUsage::default()
        };
        self.shared.for_each(|entry| usage.add(entry, now));
        usage
    }

    fn reserve_error(
        &self,
        bytes: u64,
        missing: u64,
        state: &SystemState,
        usage: &ResourceUsage,
    ) -> ReserveError {
        ReserveError {
            bytes,
            shortage: ExceededLimit {
                rule: FREE_DISK,
                missing,
            },
            capacity: self.shared.policy_input(state, &[]).disk_capacity(),
            in_use: usage.in_use,
            quarantined: usage.quarantined,
            reserved: state.reserved,
        }
    }
}

fn missing_disk(input: &PolicyInput<'_>) -> u64 {
    let demands = input.evaluate().demands;
    let free_disk = demands.iter().find(|it| it.rule == FREE_DISK);
    free_disk.map_or(0, |demand| demand.over_trigger)
}

/// The resources by whether a collection can dispose of them.
#[derive(Debug, Default)]
struct ResourceUsage {
    /// The idle resources, and those that were being disposed of when the statistics were read.
    reclaimable: FootprintSum,
    in_use: u64,
    quarantined: u64,
}

impl ResourceUsage {
    fn add(&mut self, entry: &Entry, now: Instant) {
        match entry.state {
            EntryState::InUseElsewhere(until) if until > now => self.in_use += 1,
            EntryState::Quarantined(until) if until > now => self.quarantined += 1,
            // Reported like a failed disposal: its space may or may not become free.
            EntryState::Overdue => self.quarantined += 1,
            // Part of the sum since the statistics were read. A disposal that has ended since would
            // be missing here and in the statistics.
            EntryState::Disposing => {}
            _ if entry.resource().users() > 0 => self.in_use += 1,
            _ => self.reclaimable.add(&entry.footprint),
        }
    }

    /// Returns the maximum disk space that the eviction of all idle resources can free, in bytes.
    fn max_reclaimable(&self, stats: &Stats) -> u64 {
        let disk = stats.disk.known();
        let occupied = disk.map_or(u64::MAX, |disk| disk.total.saturating_sub(disk.free));
        // A resource of unknown size may occupy all of it.
        if self.reclaimable.disk.unknown == 0 {
            // Footprints are estimates, whose sum may exceed the used space.
            self.reclaimable.disk.known.min(occupied)
        } else {
            occupied
        }
    }
}
