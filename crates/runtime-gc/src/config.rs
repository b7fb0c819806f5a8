//! When the collector acts, and how.

use std::time::Duration;

use crate::{Amount, CostClass};

/// All settings of a collector. The default has no limit at all.
///
/// With the feature `serde` it can be read from a configuration:
///
/// ```
/// # #[cfg(feature = "serde")] {
/// let config: runtime_gc::GcConfig = serde_json::from_str(
///     r#"{
///         "limits": {"minFreeDisk": {"trigger": "10%", "target": "20%"}, "minAvailableMemory": "1 GiB"},
///         "cheap": {"maxAge": "7 d"},
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
    /// Further limits for the resources that are cheap to get again.
    pub cheap: GcLimits,
    /// Further limits for the resources in between.
    pub moderate: GcLimits,
    /// Further limits for the resources that are expensive to get again.
    pub expensive: GcLimits,
    /// How often the background task looks if nothing triggers it.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Span"))]
    pub interval: Duration,
    /// How long one disposal may take.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Span"))]
    pub dispose_timeout: Duration,
    /// How long one disposal is counted on. After that it goes on, others go in its place, and a report names it.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Span"))]
    pub dispose_soft_timeout: Duration,
    /// How long a failed disposal waits until it is tried again; doubled with each failure.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Span"))]
    pub retry_initial_delay: Duration,
    /// The longest wait between two tries.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Span"))]
    pub retry_max_delay: Duration,
    /// How many disposals run at a time.
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
    /// The further limits of one class.
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
    }
}

/// Floors and ceilings. What is absent or 0 does not limit.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "camelCase", deny_unknown_fields, default)
)]
#[non_exhaustive]
pub struct GcLimits {
    /// At least so much of the disk is to be free.
    pub min_free_disk: Option<Threshold<Amount>>,
    /// At least so many inodes are to be free.
    pub min_free_inodes: Option<Threshold<Amount>>,
    /// At least so much memory is to be available, to the machine and to the control group.
    pub min_available_memory: Option<Threshold<Amount>>,
    /// At most so many percent of the last ten seconds may have been lost to waiting for memory (Linux: PSI).
    pub max_memory_stall: Option<f64>,
    /// The resources may take at most so much of the disk.
    pub max_total_size: Option<Threshold<Amount>>,
    /// There may be at most so many resources.
    pub max_count: Option<Threshold<u64>>,
    /// A resource goes when it was not used for so long.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::optional_duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Span>"))]
    pub max_age: Option<Duration>,
}

/// A limit, and where to come to rest once it is passed.
///
/// Without a distance between the two, each new file on a full disk would set off a collection that
/// frees one file. With a floor of 10 GiB that rests at 15 GiB, a collection starts below 10 and goes on up to 15.
///
/// ```
/// use runtime_gc::{Amount, GcLimits, Threshold};
///
/// let mut limits = GcLimits::default();
/// limits.min_free_disk = Some(Threshold::at(Amount::Percent(10.0)).target(Amount::Percent(15.0)));
/// limits.max_count = Some(Threshold::at(1000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Threshold<T> {
    /// Where a collection starts.
    pub trigger: T,
    /// Where it ends. At the limit if absent or on the wrong side of it.
    pub target: Option<T>,
}

impl<T> Threshold<T> {
    /// A mark that rests at its limit.
    #[must_use]
    pub const fn at(trigger: T) -> Self {
        Self {
            trigger,
            target: None,
        }
    }

    /// The same with another place to rest.
    #[must_use]
    pub fn target(self, target: T) -> Self {
        Self {
            trigger: self.trigger,
            target: Some(target),
        }
    }
}

impl Threshold<Amount> {
    /// Limit and rest of a floor, in the unit of `total`.
    pub(crate) fn floor(&self, total: u64) -> (u64, u64) {
        let limit = self.trigger.of(total);
        (
            limit,
            self.target
                .map_or(limit, |target| target.of(total).max(limit)),
        )
    }

    /// Limit and rest of a ceiling, in the unit of `total`.
    pub(crate) fn ceiling(&self, total: u64) -> (u64, u64) {
        let limit = self.trigger.of(total);
        (
            limit,
            self.target
                .map_or(limit, |target| target.of(total).min(limit)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_on_the_wrong_side_is_the_limit() {
        let threshold = Threshold::at(Amount::Absolute(10)).target(Amount::Absolute(5));
        assert_eq!(threshold.floor(100), (10, 10));
        assert_eq!(threshold.ceiling(100), (10, 5));
        let threshold = Threshold::at(Amount::Percent(10.0)).target(Amount::Absolute(50));
        assert_eq!(threshold.floor(100), (10, 50));
        assert_eq!(threshold.ceiling(100), (10, 10));
    }

    #[test]
    fn the_wait_between_tries_doubles_up_to_the_longest() {
        let config = GcConfig::default();
        assert_eq!(config.retry_delay(1), Duration::from_secs(5));
        assert_eq!(config.retry_delay(3), Duration::from_secs(20));
        assert_eq!(config.retry_delay(u32::MAX), config.retry_max_delay);
    }
}
