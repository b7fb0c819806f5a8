//! The scopes that a task needs to use a cached copy.

use std::fmt;

use runtime_core::ScopeSet;

/// Alternative scope sets, one of which must be satisfied.
///
/// ```
/// # use runtime_core::ScopeSet;
/// # use runtime_fetcher::RequiredScopes;
/// let required = RequiredScopes::all_of(["queue:get-artifact:private/key"]);
/// assert!(required.satisfied_by(&ScopeSet::new(["queue:get-artifact:private/*"])));
/// assert!(!required.satisfied_by(&ScopeSet::default()));
/// // With a task context: `task.has_scopes(required.alternatives())`.
/// assert!(RequiredScopes::none().satisfied_by(&ScopeSet::default()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredScopes {
    alternatives: Vec<Vec<String>>,
}

impl RequiredScopes {
    /// Requires no scope.
    #[must_use]
    pub fn none() -> Self {
        Self {
            alternatives: vec![Vec::new()],
        }
    }

    /// Requires all of `scopes`.
    pub fn all_of<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self {
            alternatives: vec![scopes.into_iter().map(Into::into).collect()],
        }
    }

    /// Adds an alternative set of scopes.
    #[must_use]
    pub fn or_all_of<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.alternatives
            .push(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// Returns whether `scopes` satisfies one of the alternatives.
    #[must_use]
    pub fn satisfied_by(&self, scopes: &ScopeSet) -> bool {
        scopes.satisfies_any(self.alternatives())
    }

    /// Returns the alternative sets of scopes.
    pub fn alternatives(&self) -> impl Iterator<Item = &[String]> {
        self.alternatives.iter().map(Vec::as_slice)
    }
}

impl fmt::Display for RequiredScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sets: Vec<_> = self.alternatives().map(|set| set.join(" and ")).collect();
        f.write_str(&sets.join(", or "))
    }
}
