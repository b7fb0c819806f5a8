//! Prefix and tags of a monitor.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::counter::Counters;

/// The prefix and the tags that a monitor adds to everything. A clone is a reference count.
#[derive(Clone)]
pub struct MonitorTags(Arc<Node>);

/// Scopes are chains: a child costs one small node, however many tags stand above it.
struct Node {
    parent: Option<MonitorTags>,
    /// The whole prefix, words joined by `.`.
    prefix: Arc<str>,
    tag: Option<(&'static str, Cow<'static, str>)>,
    counters: Counters,
}

impl MonitorTags {
    pub(super) fn root() -> Self {
        Self(Arc::new(Node {
            parent: None,
            prefix: Arc::from(""),
            tag: None,
            counters: Counters::default(),
        }))
    }

    pub(super) fn with_prefix(&self, word: &'static str) -> Self {
        let prefix = match &*self.0.prefix {
            "" => Arc::from(word),
            prefix => Arc::from(format!("{prefix}.{word}")),
        };
        Self(Arc::new(Node {
            parent: Some(self.clone()),
            prefix,
            tag: None,
            counters: Counters::default(),
        }))
    }

    pub(super) fn with_tag(&self, name: &'static str, value: Cow<'static, str>) -> Self {
        let prefix = Arc::clone(&self.0.prefix);
        Self(Arc::new(Node {
            parent: Some(self.clone()),
            prefix,
            tag: Some((name, value)),
            counters: Counters::default(),
        }))
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// The words of all prefixes, joined by `.`; empty at the root.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// The tags, the innermost first. A name that was given again comes again, so the first wins.
    pub fn tags(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let chain = std::iter::successors(Some(self), |scope| scope.0.parent.as_ref());
        chain
            .filter_map(|scope| scope.0.tag.as_ref())
            .map(|(name, value)| (*name, &**value))
    }

    /// The value of a tag.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

impl fmt::Debug for MonitorTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("prefix", &self.prefix())
            .field("tags", &self.tags().collect::<Vec<_>>())
            .finish()
    }
}
