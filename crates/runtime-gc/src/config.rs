//! The configuration of a collector.

use std::time::Duration;

use crate::amount::Amount;
use crate::cost_class::CostClass;
use crate::threshold::Threshold;
#[cfg(feature = "serde")]
use crate::units::DurationText;

/// The longest delay. The sum of a longer one and the current time could overflow.
const MAX_DELAY: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The configuration of a collector. The default sets no limit.
///
/// With the feature `serde` it can be read from a configuration file:
///
/// ```
/// # #[cfg(feature = "serde")] {
/// let config: runtime_gc::GcConfig = serde_json::from_str(
///     r#"{
///         "limits": {"minFreeDisk": {"trigger": "10%", "target": "20%"}, "minAvailableMemory": "1 GiB"},
///         "cheap": {"maxAge": "7 days"},
///         "interval": "2 min"
///     }"#,
/// )?;
/// # assert_eq!(config.interval.as_secs(), 120);
/// # }
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "camelCase", deny_unknown_fields, default)
)]
#[non_exhaustive]
pub struct GcConfig {
    /// Limits for all resources together.
    pub limits: GcLimits,
    /// Additional limits for cheap resources.
    pub cheap: GcLimits,
    /// Additional limits for moderately expensive resources.
    pub moderate: GcLimits,
    /// Additional limits for expensive resources.
    pub expensive: GcLimits,
    /// The interval of the background task between collections. Default: 60 s.
    #[cfg_attr(feature = "serde", serde(with = "DurationText"))]
    pub interval: Duration,
    /// The time after which a disposal is cancelled and counts as failed. Default: 5 min.
    #[cfg_attr(feature = "serde", serde(with = "DurationText"))]
    pub dispose_timeout: Duration,
    /// The time after which a collection stops waiting for a disposal and evicts another resource instead.
    /// The disposal continues in the background, and a later report states its result. Default: 20 s.
    #[cfg_attr(feature = "serde", serde(with = "DurationText"))]
    pub dispose_soft_timeout: Duration,
    /// The delay before the first retry of a failed disposal. It doubles with each failure. Default: 5 s.
    #[cfg_attr(feature = "serde", serde(with = "DurationText"))]
    pub retry_initial_delay: Duration,
    /// The maximum delay between two retries. Default: 10 min.
    #[cfg_attr(feature = "serde", serde(with = "DurationText"))]
    pub retry_max_delay: Duration,
    /// The maximum number of concurrent disposals. Default: 4.
    pub max_parallel_disposals: usize,
}

impl Default for GcConfig {
    fn default() -> Self {
        Self {
            limits: GcLimits::default(),
            cheap: GcLimits::default(),
            moderate: GcLimits::default(),
            expensive: GcLimits::default(),
            interval: Duration::from_secs(60),
            dispose_timeout: Duration::from_secs(5 * 60),
            dispose_soft_timeout: Duration::from_secs(20),
            retry_initial_delay: Duration::from_secs(5),
            retry_max_delay: Duration::from_secs(10 * 60),
            max_parallel_disposals: 4,
        }
    }
}

impl GcConfig {
    /// Returns the additional limits of a class.
    #[must_use]
    pub fn class(&self, class: CostClass) -> &GcLimits {
        match class {
            CostClass::Cheap => &self.cheap,
            CostClass::Moderate => &self.moderate,
            CostClass::Expensive => &self.expensive,
        }
    }

    pub(crate) fn retry_delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.retry_initial_delay
            .saturating_mul(1 << doublings)
            .min(self.retry_max_delay)
            .min(MAX_DELAY)
    }

    /// Returns the interval between collections, bounded so that it can be added to the current time.
    pub(crate) fn bounded_interval(&self) -> Duration {
        self.interval.min(MAX_DELAY)
    }
}

/// Minimums and maximums. An absent limit and 0 mean no limit.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "camelCase", deny_unknown_fields, default)
)]
#[non_exhaustive]
pub struct GcLimits {
    /// Minimum free disk space.
    #[cfg_attr(feature = "serde", serde(with = "crate::serde_impls::size_threshold"))]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<Threshold<crate::serde_impls::SizeAmount>>")
    )]
    pub min_free_disk: Option<Threshold<Amount>>,
    /// Minimum number of free inodes.
    pub min_free_inodes: Option<Threshold<Amount>>,
    /// Minimum available memory of the machine and of the control group.
    #[cfg_attr(feature = "serde", serde(with = "crate::serde_impls::size_threshold"))]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<Threshold<crate::serde_impls::SizeAmount>>")
    )]
    pub min_available_memory: Option<Threshold<Amount>>,
    /// Maximum percentage of the last ten seconds in which at least one process waited for memory (Linux:
    /// PSI).
    pub max_memory_stall: Option<f64>,
    /// Maximum disk space of the resources together.
    #[cfg_attr(feature = "serde", serde(with = "crate::serde_impls::size_threshold"))]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<Threshold<crate::serde_impls::SizeAmount>>")
    )]
    pub max_total_size: Option<Threshold<Amount>>,
    /// Maximum number of resources.
    pub max_count: Option<Threshold<u64>>,
    /// Maximum time since the last use of a resource.
    #[cfg_attr(
        feature = "serde",
        serde(with = "DurationText", skip_serializing_if = "Option::is_none")
    )]
    pub max_age: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delay_doubles_up_to_its_maximum() {
        let config = GcConfig::default();
        assert_eq!(config.retry_delay(1), Duration::from_secs(5));
        assert_eq!(config.retry_delay(3), Duration::from_secs(20));
        assert_eq!(config.retry_delay(u32::MAX), config.retry_max_delay);
    }

    #[test]
    fn delays_can_be_added_to_the_time() {
        let config = GcConfig {
            interval: Duration::MAX,
            retry_initial_delay: Duration::MAX,
            retry_max_delay: Duration::MAX,
            ..GcConfig::default()
        };
        assert_eq!(config.bounded_interval(), MAX_DELAY);
        assert_eq!(config.retry_delay(1), MAX_DELAY);
    }
}
