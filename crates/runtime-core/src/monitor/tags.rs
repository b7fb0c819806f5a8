//! The prefix and the tags of a monitor.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::handles::{Counter, HandleCache, Histogram};

/// The prefix and the tags that a monitor adds to metrics, log lines and incidents. Cheap to clone.
#[derive(Clone)]
pub struct MonitorTags(Arc<TagNode>);

/// A link of the chain from a monitor to its root. A child allocates one small node, independent of the number of tags
/// above it.
#[derive(Default)]
struct TagNode {
    parent: Option<MonitorTags>,
    /// The complete prefix, words joined by `.`.
    prefix: Arc<str>,
    tag: Option<(&'static str, Cow<'static, str>)>,
    counters: HandleCache<Counter>,
    histograms: HandleCache<Histogram>,
}

impl MonitorTags {
    pub(super) fn root() -> Self {
        Self(Arc::default())
    }

    pub(super) fn with_prefix(&self, word: &'static str) -> Self {
        let prefix = match &*self.0.prefix {
            "" => Arc::from(word),
            prefix => Arc::from(format!("{prefix}.{word}")),
        };
        self.child(prefix, None)
    }

    pub(super) fn with_tag(&self, name: &'static str, value: Cow<'static, str>) -> Self {
        self.child(Arc::clone(&self.0.prefix), Some((name, value)))
    }

    fn child(&self, prefix: Arc<str>, tag: Option<(&'static str, Cow<'static, str>)>) -> Self {
        Self(Arc::new(TagNode {
            parent: Some(self.clone()),
            prefix,
            tag,
            ..TagNode::default()
        }))
    }

    pub(super) fn counters(&self) -> &HandleCache<Counter> {
        &self.0.counters
    }

    pub(super) fn histograms(&self) -> &HandleCache<Histogram> {
        &self.0.histograms
    }

    /// Returns the words of all prefixes, joined by `.`; empty at the root.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// Returns the tags, innermost first. A name that was set again appears more than once: the first value is the valid
    /// one.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let nodes = std::iter::successors(Some(self), |tags| tags.0.parent.as_ref());
        nodes
            .filter_map(|tags| tags.0.tag.as_ref())
            .map(|(name, value)| (*name, &**value))
    }

    /// Returns the value of a tag.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

impl fmt::Debug for MonitorTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorTags")
            .field("prefix", &self.prefix())
            .field("tags", &self.iter().collect::<Vec<_>>())
            .finish()
    }
}
