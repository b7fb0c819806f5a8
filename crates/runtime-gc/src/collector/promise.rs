//! Room that is asked for: whether it can be had at all, then a collection that makes it.

use tokio::time::Instant;

use super::Inner;
use crate::demand::Situation;
use crate::moment::Moment;
use crate::pressure::Stats;
use crate::registry::{Entry, Gain, Place};
use crate::{Limit, Reservation, ReserveError, Rule, Shortage};

/// The limit that keeps what was promised.
const ROOM: Rule = Rule {
    class: None,
    limit: Limit::FreeDisk,
};

impl Inner {
    pub(crate) async fn reserve(&self, bytes: u64) -> Result<Reservation, ReserveError> {
        let reservation = self.promise(bytes)?;
        let report = self.collect().await;
        let Some(shortage) = report.shortages.iter().find(|it| it.rule == ROOM) else {
            return Ok(reservation);
        };
        // From here on it is not in the way of others.
        drop(reservation);
        Err(self.consider(|readings| {
            let holders = self.holders();
            self.refusal(bytes, shortage.missing, readings, &holders)
        }))
    }

    /// Counts the bytes as reserved if a collection may make room for them. One that cannot would free all
    /// that is idle for nothing, and two at a time would refuse each other what one of them can have.
    fn promise(&self, bytes: u64) -> Result<Reservation, ReserveError> {
        self.consider(|readings| {
            let missing = self.missing(bytes, readings);
            if missing > 0 {
                let holders = self.holders();
                let missing = missing.saturating_sub(holders.most(readings));
                if missing > 0 {
                    return Err(self.refusal(bytes, missing, readings, &holders));
                }
            }
            Ok(Reservation::new(&self.shared.reserved, bytes))
        })
    }

    /// How much would have to be freed for so many bytes more than are promised.
    fn missing(&self, bytes: u64, readings: &Stats) -> u64 {
        let demands = self.situation(bytes, readings).demands();
        let room = demands.demands.iter().find(|it| it.rule == ROOM);
        room.map_or(0, |demand| demand.missing)
    }

    fn situation<'a>(&'a self, bytes: u64, readings: &'a Stats) -> Situation<'a> {
        Situation {
            config: &self.shared.config,
            readings,
            totals: self.shared.registry().totals,
            reserved: self.shared.reserved().saturating_add(bytes),
            now: Moment::now(),
            active: &[],
        }
    }

    fn holders(&self) -> Holders {
        let (mut holders, now) = (Holders::default(), Instant::now());
        self.shared.look(|entry| holders.add(entry, now));
        holders
    }

    fn refusal(
        &self,
        bytes: u64,
        missing: u64,
        readings: &Stats,
        holders: &Holders,
    ) -> ReserveError {
        ReserveError {
            bytes,
            shortage: Shortage {
                rule: ROOM,
                missing,
            },
            capacity: self.situation(bytes, readings).capacity(),
            in_use: holders.in_use,
            quarantined: holders.quarantined,
            reserved: self.shared.reserved(),
        }
    }
}

/// What the resources hold, by what a collection could do about it.
#[derive(Debug, Default)]
struct Holders {
    idle: Gain,
    in_use: u64,
    quarantined: u64,
}

impl Holders {
    fn add(&mut self, entry: &Entry, now: Instant) {
        match entry.place {
            Place::Elsewhere(until) if until > now => self.in_use += 1,
            Place::Quarantined(until) if until > now => self.quarantined += 1,
            Place::Overdue => self.quarantined += 1,
            _ if entry.resource.users() > 0 => self.in_use += 1,
            _ => self.idle.add(&entry.footprint),
        }
    }

    /// The most that can become free on disk if all went that is idle.
    fn most(&self, readings: &Stats) -> u64 {
        let taken = readings.disk.known();
        let taken = taken.map_or(u64::MAX, |disk| disk.total.saturating_sub(disk.free));
        match self.idle.disk.unknown {
            0 => self.idle.disk.known.min(taken),
            _ => taken,
        }
    }
}
