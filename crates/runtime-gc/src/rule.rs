//! The limits of the configuration by name, and the reasons of evictions.

use std::fmt;

use crate::cost_class::CostClass;
use crate::units::ByteSize;

/// A limit of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LimitRule {
    /// The class of the resources that the limit applies to, or `None` for all resources.
    pub class: Option<CostClass>,
    /// The limited quantity.
    pub limit: LimitKind,
}

/// The quantity that a rule limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// [`GcLimits::min_free_disk`](crate::GcLimits::min_free_disk), plus the reserved bytes.
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

impl LimitKind {
    /// Returns whether this limits a statistic of the machine, as opposed to a sum over the resources.
    pub(crate) fn is_about_machine(self) -> bool {
        matches!(
            self,
            Self::FreeDisk | Self::FreeInodes | Self::AvailableMemory | Self::MemoryStall
        )
    }

    /// Formats an amount in the unit of this limit.
    pub(crate) fn format_amount(self, amount: u64) -> String {
        match self {
            Self::FreeDisk | Self::AvailableMemory | Self::TotalSize => {
                ByteSize(amount).to_string()
            }
            Self::MemoryStall => format!("{amount}%"),
            Self::FreeInodes | Self::Count | Self::Age => amount.to_string(),
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FreeDisk => "free disk",
            Self::FreeInodes => "free inodes",
            Self::AvailableMemory => "available memory",
            Self::MemoryStall => "memory stall",
            Self::TotalSize => "total size",
            Self::Count => "count",
            Self::Age => "age",
        })
    }
}

impl fmt::Display for LimitRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            None => self.limit.fmt(f),
            Some(class) => write!(f, "{} of {class} resources", self.limit),
        }
    }
}

/// The reason a resource is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvictionReason {
    /// A limit is exceeded.
    Rule(LimitRule),
    /// The owner of the resource discarded it.
    Discarded,
    /// The retry of a failed disposal.
    Retry,
    /// The eviction of all idle resources was requested.
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
