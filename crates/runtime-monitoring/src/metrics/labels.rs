//! The tags that are labels, and their values in a scope.

use std::collections::BTreeMap;

use runtime_core::monitor::MonitorTags;

/// The values of the label names that [`Metrics`](super::Metrics) have, in the same order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Labels(Box<[Option<Box<str>>]>);

impl Labels {
    pub(super) fn of(names: &[String], scope: &MonitorTags) -> Self {
        let value = |name: &String| scope.tag(name).map(Box::from);
        Self(names.iter().map(value).collect())
    }

    pub(super) fn are_of(&self, names: &[String], scope: &MonitorTags) -> bool {
        let mut both = self.0.iter().zip(names);
        both.all(|(value, name)| value.as_deref() == scope.tag(name))
    }

    pub(super) fn to_map(&self, names: &[String]) -> BTreeMap<String, String> {
        let both = names.iter().zip(&self.0);
        both.filter_map(|(name, value)| Some((name.clone(), value.as_deref()?.to_owned())))
            .collect()
    }
}
