//! The report of a collection.

use std::fmt;
use std::time::Duration;

use crate::cost_class::CostClass;
use crate::footprint::Footprint;
use crate::rule::{EvictionReason, LimitKind, LimitRule};
use crate::units::ByteSize;

/// The results of one collection.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CollectionReport {
    /// Resources that were disposed of, in the order of completion.
    pub freed: Vec<FreedResource>,
    /// Disposals that failed. The resources are quarantined and the disposals retried.
    pub failed: Vec<FailedDisposal>,
    /// Disposals that exceeded the soft timeout. A later report lists each as freed or failed.
    pub slow: Vec<SlowDisposal>,
    /// Limits that are still exceeded.
    pub shortages: Vec<ExceededLimit>,
    /// Limits that were not checked, because their statistic could not be read.
    pub skipped: Vec<SkippedRule>,
    /// The number of resources found in use. If there are shortages, this is the number of all resources in
    /// use.
    pub in_use: u64,
    /// The number of resources whose disposal failed and is to be retried.
    pub quarantined: u64,
    /// The time that the collection took.
    pub duration: Duration,
}

/// The result of one disposal.
#[derive(Debug)]
pub(crate) enum DisposalResult {
    Freed(FreedResource),
    Failed(FailedDisposal),
    Slow(SlowDisposal),
}

impl CollectionReport {
    pub(crate) fn add(&mut self, result: DisposalResult) {
        match result {
            DisposalResult::Freed(freed) => self.freed.push(freed),
            DisposalResult::Failed(failed) => self.failed.push(failed),
            DisposalResult::Slow(slow) => self.slow.push(slow),
        }
    }

    /// Returns whether no limit is exceeded or skipped, and no disposal was attempted.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.freed.is_empty()
            && self.failed.is_empty()
            && self.slow.is_empty()
            && self.is_satisfied()
            && self.skipped.is_empty()
    }

    /// Returns whether the machine has enough free disk and memory for the worker to claim a task.
    ///
    /// Limits on the resources themselves do not count: a worker can run with too many resources in use.
    #[must_use]
    pub fn can_claim(&self) -> bool {
        !self
            .shortages
            .iter()
            .any(|it| it.rule.limit.is_about_machine())
    }

    /// Returns whether no limit is exceeded, except for those that could not be checked.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        self.shortages.is_empty()
    }

    /// Returns the disk space that was freed, as far as it is known, in bytes.
    #[must_use]
    pub fn freed_disk(&self) -> u64 {
        self.freed.iter().map(|it| it.footprint.disk.known()).sum()
    }
}

/// One line for the log: `freed 3 (1.5 GiB on disk), failed 0, slow 0, in use 4, ...`.
impl fmt::Display for CollectionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "freed {} ({} on disk), failed {}, slow {}, in use {}, quarantined {}, took {:?}",
            self.freed.len(),
            ByteSize(self.freed_disk()),
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
pub struct FreedResource {
    /// The name of the resource.
    pub name: String,
    /// The cost class of the resource.
    pub class: CostClass,
    /// The space that was freed.
    pub footprint: Footprint,
    /// The reason of the eviction.
    pub reason: EvictionReason,
}

/// A disposal that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedDisposal {
    /// The name of the resource.
    pub name: String,
    /// The error with all its causes.
    pub error: String,
    /// The number of failures so far; 0 if the resource is in use outside this process.
    pub failures: u32,
    /// The delay until the retry.
    pub retry_in: Duration,
}

/// A disposal that exceeded the soft timeout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowDisposal {
    /// The name of the resource.
    pub name: String,
    /// The soft timeout.
    pub after: Duration,
}

/// A limit that is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExceededLimit {
    /// The limit.
    pub rule: LimitRule,
    /// The excess in bytes, inodes, resources or percent.
    pub missing: u64,
}

impl fmt::Display for ExceededLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = self.rule.limit.format_amount(self.missing);
        match self.rule.limit {
            LimitKind::MemoryStall => write!(f, "{} is {missing} too high", self.rule),
            limit if limit.is_about_machine() => {
                write!(f, "{} is {missing} below the minimum", self.rule)
            }
            _ => write!(f, "{} is {missing} above the maximum", self.rule),
        }
    }
}

/// A limit that was not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedRule {
    /// The limit.
    pub rule: LimitRule,
    /// The reason its statistic could not be read.
    pub reason: String,
}

impl fmt::Display for SkippedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was not checked: {}", self.rule, self.reason)
    }
}
