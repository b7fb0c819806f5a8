//! The two values of a limit: one starts a collection, the other stops it.

use crate::amount::Amount;

/// A limit with two values: the trigger starts a collection, the target stops it.
///
/// If both values were the same, each new file on a full disk would start a collection that frees one file.
/// With a trigger of 10 GiB and a target of 15 GiB of free disk, a collection starts below 10 GiB and
/// continues up to 15 GiB.
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
    /// The value at which a collection starts.
    pub trigger: T,
    /// The value at which a collection stops. If it is absent or on the wrong side of the trigger, the trigger
    /// is used.
    pub target: Option<T>,
}

impl<T> Threshold<T> {
    /// Creates a threshold whose target is its trigger.
    #[must_use]
    pub const fn at(trigger: T) -> Self {
        Self {
            trigger,
            target: None,
        }
    }

    /// Sets the target.
    #[must_use]
    pub fn target(self, target: T) -> Self {
        Self {
            trigger: self.trigger,
            target: Some(target),
        }
    }
}

#[cfg(feature = "serde")]
impl<T> Threshold<T> {
    pub(crate) fn map<U>(self, convert: impl Fn(T) -> U) -> Threshold<U> {
        Threshold {
            trigger: convert(self.trigger),
            target: self.target.map(convert),
        }
    }
}

impl Threshold<Amount> {
    /// Returns trigger and target of a minimum, whose target is not below the trigger.
    pub(crate) fn minimum(&self, total: u64) -> (u64, u64) {
        let (trigger, target) = self.amounts(total);
        (trigger, target.max(trigger))
    }

    /// Returns trigger and target of a maximum, whose target is not above the trigger.
    pub(crate) fn maximum(&self, total: u64) -> (u64, u64) {
        let (trigger, target) = self.amounts(total);
        (trigger, target.min(trigger))
    }

    fn amounts(&self, total: u64) -> (u64, u64) {
        let target = self.target.unwrap_or(self.trigger);
        (self.trigger.of(total), target.of(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_on_the_wrong_side_is_the_trigger() {
        let lower = Threshold::at(Amount::Absolute(10)).target(Amount::Absolute(5));
        assert_eq!(
            (lower.minimum(100), lower.maximum(100)),
            ((10, 10), (10, 5))
        );
        let higher = Threshold::at(Amount::Percent(10.0)).target(Amount::Absolute(50));
        assert_eq!(
            (higher.minimum(100), higher.maximum(100)),
            ((10, 50), (10, 10))
        );
    }
}
