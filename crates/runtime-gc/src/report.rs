//! What came of a collection.

use std::fmt;
use std::time::Duration;

use crate::amount::Bytes;
use crate::{CostClass, EvictionReason, Footprint, Limit, Rule};

/// What one collection did, and what it could not do.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CollectionReport {
    /// What was disposed of, in the order in which it was done.
    pub freed: Vec<Freed>,
    /// What could not be disposed of. It is quarantined and tried again.
    pub failed: Vec<Failed>,
    /// What takes so long to go that the collection went on without it. A later report says how it ended.
    pub slow: Vec<Slow>,
    /// Limits that still are passed.
    pub shortages: Vec<Shortage>,
    /// Limits that were not looked at, because their statistic could not be read.
    pub skipped: Vec<Skipped>,
    /// How many resources were found in use. With a shortage, that is all that are.
    pub in_use: u64,
    /// How many wait to be tried again.
    pub quarantined: u64,
    /// How long it took.
    pub duration: Duration,
}

impl CollectionReport {
    /// Whether there is nothing to say: nothing was needed, nothing was done, all could be read.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.freed.is_empty()
            && self.failed.is_empty()
            && self.slow.is_empty()
            && self.is_satisfied()
            && self.skipped.is_empty()
    }

    /// Whether every floor that could be read is kept, so that a worker may claim.
    ///
    /// A ceiling that is passed by what is in use does not keep it from working.
    #[must_use]
    pub fn can_claim(&self) -> bool {
        !self.shortages.iter().any(|it| it.rule.limit.is_floor())
    }

    /// Whether every limit that could be read is kept.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        self.shortages.is_empty()
    }

    /// The bytes on disk that are known to have been freed.
    #[must_use]
    pub fn freed_disk(&self) -> u64 {
        self.freed.iter().map(|it| it.footprint.disk.known()).sum()
    }
}

/// One line, for the log: `freed 3 (1.5 GiB on disk), failed 0, slow 0, in use 4, ...`.
impl fmt::Display for CollectionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "freed {} ({} on disk), failed {}, slow {}, in use {}, quarantined {}, took {:?}",
            self.freed.len(),
            Bytes(self.freed_disk()),
            self.failed.len(),
            self.slow.len(),
            self.in_use,
            self.quarantined,
            self.duration,
        )?;
        self.shortages
            .iter()
            .try_for_each(|it| write!(f, "; {it}"))?;
        self.skipped.iter().try_for_each(|it| write!(f, "; {it}"))
    }
}

/// A resource that was disposed of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freed {
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: CostClass,
    /// What it took.
    pub footprint: Footprint,
    /// Why it went.
    pub reason: EvictionReason,
}

/// A resource that could not be disposed of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed {
    /// Its name.
    pub name: String,
    /// What went wrong, with all causes.
    pub error: String,
    /// How often it has failed by now; 0 if something outside of this process uses it.
    pub failures: u32,
    /// When it is tried again.
    pub retry_in: Duration,
}

/// A resource whose disposal takes long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slow {
    /// Its name.
    pub name: String,
    /// How long it had been going on when the collection went on without it.
    pub after: Duration,
}

/// A limit that is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shortage {
    /// The limit.
    pub rule: Rule,
    /// By how much: bytes, inodes, resources or percent.
    pub missing: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = self.rule.limit.amount(self.missing);
        match self.rule.limit {
            Limit::MemoryStall => write!(f, "{} is {missing} too high", self.rule),
            limit if limit.is_floor() => write!(f, "{} is {missing} below its floor", self.rule),
            _ => write!(f, "{} is {missing} above its ceiling", self.rule),
        }
    }
}

/// A limit that was not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The limit.
    pub rule: Rule,
    /// Why its statistic could not be read.
    pub reason: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was skipped: {}", self.rule, self.reason)
    }
}
