//! Names of the limits, and why a resource goes.

use std::fmt;

use crate::CostClass;
use crate::amount::Bytes;

/// One limit of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Rule {
    /// The class that it is for, or all resources.
    pub class: Option<CostClass>,
    /// What it limits.
    pub limit: Limit,
}

/// What a rule limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`GcLimits::min_free_disk`](crate::GcLimits::min_free_disk), and what is reserved on top.
    FreeDisk,
    /// [`GcLimits::min_free_inodes`](crate::GcLimits::min_free_inodes).
    FreeInodes,
    /// [`GcLimits::min_available_memory`](crate::GcLimits::min_available_memory).
    AvailableMemory,
    /// [`GcLimits::max_memory_stall`](crate::GcLimits::max_memory_stall).
    MemoryStall,
    /// [`GcLimits::max_total_size`](crate::GcLimits::max_total_size).
    TotalSize,
    /// [`GcLimits::max_count`](crate::GcLimits::max_count).
    Count,
    /// [`GcLimits::max_age`](crate::GcLimits::max_age).
    Age,
}

impl Limit {
    fn name(self) -> &'static str {
        match self {
            Self::FreeDisk => "free disk",
            Self::FreeInodes => "free inodes",
            Self::AvailableMemory => "available memory",
            Self::MemoryStall => "memory stall",
            Self::TotalSize => "total size",
            Self::Count => "count",
            Self::Age => "age",
        }
    }

    /// Whether it is about what the machine has left, not about what the resources take.
    pub(crate) fn is_floor(self) -> bool {
        matches!(
            self,
            Self::FreeDisk | Self::FreeInodes | Self::AvailableMemory | Self::MemoryStall
        )
    }

    /// An amount in the unit of this limit, for people.
    pub(crate) fn amount(self, amount: u64) -> String {
        match self {
            Self::FreeDisk | Self::AvailableMemory | Self::TotalSize => Bytes(amount).to_string(),
            Self::MemoryStall => format!("{amount}%"),
            Self::FreeInodes | Self::Count | Self::Age => amount.to_string(),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            None => self.limit.fmt(f),
            Some(class) => write!(f, "{} of {class} resources", self.limit),
        }
    }
}

/// Why a resource goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvictionReason {
    /// A limit was passed.
    Rule(Rule),
    /// Its owner discarded it.
    Discarded,
    /// An earlier disposal failed.
    Retry,
    /// All that is idle was asked for.
    Everything,
}

impl fmt::Display for EvictionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => rule.fmt(f),
            Self::Discarded => f.pad("discarded"),
            Self::Retry => f.pad("retry"),
            Self::Everything => f.pad("collect all"),
        }
    }
}
