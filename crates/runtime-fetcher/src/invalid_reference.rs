//! The error for a reference that does not match the schema of any fetcher.

use std::fmt;

/// A reference that matches the schema of none of the fetchers.
///
/// Holds one [`SchemaMismatch`] for each kind of reference, the most similar kind first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidReference {
    mismatches: Vec<SchemaMismatch>,
}

/// The reason a reference does not match the schema of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaMismatch {
    /// The [name](crate::Fetcher::name) of the kind.
    pub kind: &'static str,
    /// The first violation of the schema.
    pub reason: String,
}

impl InvalidReference {
    /// Creates the error of a fetcher for one kind of reference.
    pub fn new(kind: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            mismatches: vec![SchemaMismatch { kind, reason }],
        }
    }

    /// Joins the errors of several kinds.
    pub(crate) fn merge(errors: impl IntoIterator<Item = Self>) -> Self {
        let mismatches = errors.into_iter().flat_map(|error| error.mismatches);
        Self {
            mismatches: mismatches.collect(),
        }
    }

    /// Returns the mismatch of each kind, the most similar kind first.
    #[must_use]
    pub fn mismatches(&self) -> &[SchemaMismatch] {
        &self.mismatches
    }
}

impl fmt::Display for InvalidReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mismatches.as_slice() {
            [] => f.write_str("invalid reference: no kind of reference is allowed here"),
            [only] => write!(f, "invalid `{}` reference: {}", only.kind, only.reason),
            many => {
                f.write_str("invalid reference: matches no known kind")?;
                many.iter().try_for_each(|mismatch| {
                    write!(f, "; not `{}`: {}", mismatch.kind, mismatch.reason)
                })
            }
        }
    }
}
