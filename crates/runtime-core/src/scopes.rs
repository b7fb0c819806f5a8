//! Scopes, and when a set of them satisfies another.
//!
//! The rules are Taskcluster's: a scope that ends in `*` satisfies every scope that starts with
//! what stands before the star; every other scope satisfies only itself.

use serde::{Deserialize, Serialize};

/// A set of scopes, kept without those that others in it already satisfy.
///
/// ```
/// # use runtime_core::ScopeSet;
/// let have = ScopeSet::new(["queue:get-artifact:private/*", "secrets:get:a"]);
/// assert!(have.satisfies("queue:get-artifact:private/build.tar"));
/// assert!(have.satisfies("queue:get-artifact:private/logs/*"));
/// assert!(!have.satisfies("secrets:get:*"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct ScopeSet {
    /// What stands before the star; sorted, and no one a prefix of another.
    prefixes: Vec<Box<str>>,
    /// Scopes without a star; sorted.
    exact: Vec<Box<str>>,
}

impl ScopeSet {
    /// Makes a set of the given scopes.
    pub fn new<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>) -> Self {
        let mut prefixes: Vec<Box<str>> = Vec::new();
        let mut exact: Vec<Box<str>> = Vec::new();
        for scope in scopes {
            match scope.as_ref().strip_suffix('*') {
                Some(prefix) => prefixes.push(prefix.into()),
                None => exact.push(scope.as_ref().into()),
            }
        }
        prefixes.sort_unstable();
        prefixes.dedup_by(|longer, shorter| longer.starts_with(&**shorter));
        exact.sort_unstable();
        exact.dedup();
        let mut set = Self {
            prefixes,
            exact: Vec::new(),
        };
        exact.retain(|scope| !set.has_prefix_of(scope));
        set.exact = exact;
        set
    }

    /// Reports whether this set grants `scope`.
    #[must_use]
    pub fn satisfies(&self, scope: &str) -> bool {
        match scope.strip_suffix('*') {
            Some(prefix) => self.has_prefix_of(prefix),
            None => {
                self.has_prefix_of(scope)
                    || self.exact.binary_search_by(|s| (**s).cmp(scope)).is_ok()
            }
        }
    }

    /// Reports whether this set grants every one of `scopes`.
    pub fn satisfies_all<S: AsRef<str>>(&self, scopes: impl IntoIterator<Item = S>) -> bool {
        scopes
            .into_iter()
            .all(|scope| self.satisfies(scope.as_ref()))
    }

    /// What both sets grant: never more than either, never less than both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut prefixes: Vec<&Box<str>> = below(&self.prefixes, &other.prefixes)
            .chain(below(&other.prefixes, &self.prefixes))
            .collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        // No scope comes twice: what a set has exactly, no prefix of the same set grants.
        let mut exact: Vec<&Box<str>> = common(&self.exact, &other.exact)
            .chain(below(&self.exact, &other.prefixes))
            .chain(below(&other.exact, &self.prefixes))
            .collect();
        exact.sort_unstable();
        Self {
            prefixes: prefixes.into_iter().cloned().collect(),
            exact: exact.into_iter().cloned().collect(),
        }
    }

    /// The scopes of the set, those with a star first.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        let patterns = self.prefixes.iter().map(|prefix| format!("{prefix}*"));
        patterns.chain(self.exact.iter().map(|scope| scope.to_string()))
    }

    /// Reports whether the set grants nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.exact.is_empty()
    }

    /// Since no prefix starts another, only the last one that sorts at or before `text` can start it.
    fn has_prefix_of(&self, text: &str) -> bool {
        let after = self.prefixes.partition_point(|prefix| **prefix <= *text);
        after
            .checked_sub(1)
            .is_some_and(|at| text.starts_with(&*self.prefixes[at]))
    }
}

/// Of sorted texts, those that start with one of the sorted prefixes, no one of which starts another.
fn below<'a>(
    texts: &'a [Box<str>],
    prefixes: &'a [Box<str>],
) -> impl Iterator<Item = &'a Box<str>> {
    let mut rest = prefixes;
    texts.iter().filter(move |text| {
        // Only the last prefix that sorts at or before a text can start it, or a later text.
        while let [_, next, ..] = rest
            && next <= text
        {
            rest = &rest[1..];
        }
        rest.first()
            .is_some_and(|prefix| text.starts_with(&**prefix))
    })
}

/// The texts that two sorted lists share.
fn common<'a>(left: &'a [Box<str>], right: &'a [Box<str>]) -> impl Iterator<Item = &'a Box<str>> {
    let mut rest = right.iter().peekable();
    left.iter().filter(move |text| {
        while rest.next_if(|other| other < text).is_some() {}
        rest.next_if_eq(text).is_some()
    })
}

impl From<Vec<String>> for ScopeSet {
    fn from(scopes: Vec<String>) -> Self {
        Self::new(scopes)
    }
}

impl From<ScopeSet> for Vec<String> {
    fn from(set: ScopeSet) -> Self {
        set.iter().collect()
    }
}
