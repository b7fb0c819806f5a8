//! Scopes, and when a set of them satisfies another.
//!
//! The rules are Taskcluster's: a scope that ends in `*` satisfies every scope that starts with
//! what stands before the star; every other scope satisfies only itself. In one case a set is stricter:
//! the services compare texts, so that there `a**` satisfies `a*`, which would then satisfy more than
//! `a**` does. Here it does not.

use std::cmp::Ordering;

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
    /// Sorted by text. No text comes twice, and none starts with that of a pattern before it.
    scopes: Vec<Scope>,
}

/// Fields are in this order because sets are sorted by it: a pattern comes before everything that it satisfies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Scope {
    /// Of a pattern, what stands before the star.
    text: Box<str>,
    is_exact: bool,
}

impl ScopeSet {
    /// Makes a set of the given scopes.
    pub fn new<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>) -> Self {
        let scopes = scopes
            .into_iter()
            .map(|scope| Scope::new(scope.as_ref()));
        let mut scopes: Vec<_> = scopes.collect();
        scopes.sort_unstable();
        scopes.dedup_by(|later, earlier| earlier.satisfies(later));
        Self { scopes }
    }

    /// Reports whether this set grants `scope`.
    #[must_use]
    pub fn satisfies(&self, scope: &str) -> bool {
        let (text, is_exact) = split(scope);
        // Whatever sorts between a pattern and a text that it starts would start with it as well, and is not here.
        let after = self.scopes.partition_point(|scope| *scope.text <= *text);
        let last = after.checked_sub(1).map(|at| &self.scopes[at]);
        last.is_some_and(|last| match last.is_exact {
            true => is_exact && *last.text == *text,
            false => text.starts_with(&*last.text),
        })
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
        let (mut left, mut right) = (&self.scopes[..], &other.scopes[..]);
        let mut scopes = Vec::with_capacity(left.len().min(right.len()));
        while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
            match compare_starts(&first.text, &second.text) {
                Ordering::Less => left = left_rest,
                Ordering::Greater => right = right_rest,
                // One text starts the other. What a pattern satisfies is in both; the pattern stays for the next.
                Ordering::Equal if first.satisfies(second) => {
                    scopes.push(second.clone());
                    right = right_rest;
                }
                Ordering::Equal if second.satisfies(first) => {
                    scopes.push(first.clone());
                    left = left_rest;
                }
                Ordering::Equal if first.text.len() < second.text.len() => left = left_rest,
                Ordering::Equal => right = right_rest,
            }
        }
        Self { scopes }
    }

    /// The scopes of the set, those with a star first.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        let (patterns, exact) = (self.of_kind(false), self.of_kind(true));
        let patterns = patterns.map(|prefix| format!("{prefix}*"));
        patterns.chain(exact.map(str::to_owned))
    }

    /// Reports whether the set grants nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    fn of_kind(&self, is_exact: bool) -> impl Iterator<Item = &str> {
        let scopes = self.scopes.iter();
        let scopes = scopes.filter(move |scope| scope.is_exact == is_exact);
        scopes.map(|scope| &*scope.text)
    }
}

impl Scope {
    fn new(scope: &str) -> Self {
        let (text, is_exact) = split(scope);
        Self {
            text: text.into(),
            is_exact,
        }
    }

    fn satisfies(&self, other: &Self) -> bool {
        match self.is_exact {
            true => self == other,
            false => other.text.starts_with(&*self.text),
        }
    }
}

/// What stands before the star if there is one, and whether there is none.
fn split(scope: &str) -> (&str, bool) {
    match scope.strip_suffix('*') {
        Some(prefix) => (prefix, false),
        None => (scope, true),
    }
}

/// Compares as far as both texts go: they are equal if one starts the other.
fn compare_starts(left: &str, right: &str) -> Ordering {
    let length = left.len().min(right.len());
    left.as_bytes()[..length].cmp(&right.as_bytes()[..length])
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
