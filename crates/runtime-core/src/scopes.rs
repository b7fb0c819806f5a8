//! Sets of scopes.
//!
//! Scopes follow Taskcluster's rules: a scope that ends in `*` satisfies every scope that starts with the
//! text before the star; any other scope satisfies only itself.
//!
//! In one case this type is stricter. The services compare texts: for them, the pattern `a**`, which grants
//! all scopes that start with `a*`, also satisfies the wider pattern `a*`. For this type, it does not.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// The largest set that is scanned instead of searched.
const MAX_SCANNED: usize = 64;

/// A set of scopes, stored without redundant ones.
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
    /// Sorted, without duplicates and without scopes that a preceding pattern satisfies.
    scopes: Vec<Scope>,
}

/// The derived order compares the fields in turn, so a pattern precedes every scope that it satisfies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Scope {
    /// For a pattern, the prefix before the star.
    text: Box<str>,
    is_exact: bool,
    /// See [`fingerprint`]. Fits into the padding, so that a scan reads one line of the processor's cache for two or
    /// three scopes, and only the text of the scope that it finds.
    fingerprint: u32,
}

impl ScopeSet {
    /// Creates a set.
    pub fn new<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>) -> Self {
        let scopes = scopes.into_iter().map(|scope| Scope::new(scope.as_ref()));
        let mut scopes: Vec<_> = scopes.collect();
        scopes.sort_unstable();
        // After sorting, a pattern is followed directly by the scopes that it satisfies, so that comparing
        // neighbours removes all redundant ones.
        scopes.dedup_by(|later, earlier| earlier.satisfies(later));
        Self { scopes }
    }

    /// Returns whether the set satisfies `scope`.
    #[must_use]
    pub fn satisfies(&self, scope: &str) -> bool {
        let (text, is_exact) = split(scope);
        // Most tasks have a few scopes. A search compares texts at each of its steps, and a scan compares few.
        if self.scopes.len() <= MAX_SCANNED {
            let fingerprint = fingerprint(text);
            let may_equal = |it: &Scope| !it.is_exact || it.fingerprint == fingerprint;
            let mut scopes = self.scopes.iter();
            return scopes.any(|it| may_equal(it) && it.satisfies_text(text, is_exact));
        }
        // Only the last scope whose text is not after `text` can satisfy it: a scope between a pattern and a
        // text with its prefix has that prefix too, and was removed as redundant.
        let after = self.scopes.partition_point(|scope| *scope.text <= *text);
        let last = after.checked_sub(1).map(|at| &self.scopes[at]);
        last.is_some_and(|last| last.satisfies_text(text, is_exact))
    }

    /// Returns whether the set satisfies all of `scopes`.
    pub fn satisfies_all<S: AsRef<str>>(&self, scopes: impl IntoIterator<Item = S>) -> bool {
        scopes
            .into_iter()
            .all(|scope| self.satisfies(scope.as_ref()))
    }

    /// Returns whether the set satisfies all scopes of at least one of `alternatives`; `false` without alternatives.
    ///
    /// ```
    /// # use runtime_core::ScopeSet;
    /// let have = ScopeSet::new(["a", "b"]);
    /// assert!(have.satisfies_any([["c", "d"], ["a", "b"]]));
    /// assert!(!have.satisfies_any([["a", "c"]]));
    /// assert!(!have.satisfies_any::<&str, [&str; 0]>([]));
    /// ```
    pub fn satisfies_any<S: AsRef<str>, A: IntoIterator<Item = S>>(
        &self,
        alternatives: impl IntoIterator<Item = A>,
    ) -> bool {
        alternatives
            .into_iter()
            .any(|scopes| self.satisfies_all(scopes))
    }

    /// Returns the set of the scopes that both sets satisfy.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut left, mut right) = (&self.scopes[..], &other.scopes[..]);
        let mut scopes = Vec::with_capacity(left.len().min(right.len()));
        while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
            match compare_starts(&first.text, &second.text) {
                Ordering::Less => left = left_rest,
                Ordering::Greater => right = right_rest,
                // One text is a prefix of the other. A satisfied scope is in both sets, while the pattern
                // stays, because it may satisfy the next ones. The result is sorted and without redundant
                // scopes, as both inputs are.
                Ordering::Equal if first.satisfies(second) => {
                    scopes.push(second.clone());
                    right = right_rest;
                }
                Ordering::Equal if second.satisfies(first) => {
                    scopes.push(first.clone());
                    left = left_rest;
                }
                // Neither satisfies the other, so the shorter one is exact. The scopes left in the other set sort
                // after it: none of them satisfies it.
                Ordering::Equal if first.text.len() < second.text.len() => left = left_rest,
                Ordering::Equal => right = right_rest,
            }
        }
        Self { scopes }
    }

    /// Returns the scopes, patterns first.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        let (patterns, exact) = (self.of_kind(false), self.of_kind(true));
        let patterns = patterns.map(|prefix| format!("{prefix}*"));
        patterns.chain(exact.map(str::to_owned))
    }

    /// Returns whether the set is empty.
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
            fingerprint: fingerprint(text),
        }
    }

    fn satisfies(&self, other: &Self) -> bool {
        self.satisfies_text(&other.text, other.is_exact)
    }

    #[inline]
    fn satisfies_text(&self, text: &str, is_exact: bool) -> bool {
        if self.is_exact {
            is_exact && *self.text == *text
        } else {
            text.starts_with(&*self.text)
        }
    }
}

/// Splits a scope into its text, without a trailing star, and whether it is exact.
fn split(scope: &str) -> (&str, bool) {
    match scope.strip_suffix('*') {
        Some(prefix) => (prefix, false),
        None => (scope, true),
    }
}

/// Returns a value that differs for most pairs of texts: a mix of the length and of up to 32 bytes.
///
/// Scopes often share their start, end and length, so that these alone would not tell them apart. A hash of all bytes costs
/// as much as it saves.
#[inline]
fn fingerprint(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let Some(spread) = bytes.len().checked_sub(8) else {
        return bytes.len() as u32;
    };
    let word = |at: usize| {
        let word = bytes[at..].first_chunk();
        word.map_or(0, |word| u64::from_le_bytes(*word))
    };
    let (second, third) = (word(spread / 3), word(spread / 3 * 2));
    let mixed = word(0) ^ second.rotate_left(13) ^ third.rotate_left(27);
    let mixed = mixed ^ word(spread).rotate_left(41);
    (mixed ^ (mixed >> 32)) as u32 ^ bytes.len() as u32
}

/// Compares texts up to the length of the shorter one.
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
