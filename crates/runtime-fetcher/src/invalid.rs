//! The error for a reference that is not one.

use std::fmt;

/// A reference fits no kind that the fetcher knows.
///
/// There is one [`SchemaMismatch`] for each alternative, the one that comes closest first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidReference {
    misfits: Vec<SchemaMismatch>,
}

/// Why a reference is not of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaMismatch {
    /// The kind.
    pub alternative: &'static str,
    /// What does not fit.
    pub reason: String,
}

impl InvalidReference {
    /// Makes the error of a fetcher for one kind of reference.
    pub fn new(alternative: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            misfits: vec![SchemaMismatch {
                alternative,
                reason,
            }],
        }
    }

    /// Joins the errors of all alternatives.
    pub(crate) fn merge(errors: impl IntoIterator<Item = Self>) -> Self {
        let misfits = errors.into_iter().flat_map(|error| error.misfits).collect();
        Self { misfits }
    }

    /// Why each alternative does not fit.
    #[must_use]
    pub fn misfits(&self) -> &[SchemaMismatch] {
        &self.misfits
    }
}

impl fmt::Display for InvalidReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.misfits.as_slice() {
            [] => f.write_str("no kind of reference is allowed here"),
            [only] => write!(
                f,
                "not a reference of kind `{}`: {}",
                only.alternative, only.reason
            ),
            many => {
                f.write_str("the reference fits none of the alternatives")?;
                many.iter().try_for_each(|misfit| {
                    write!(f, "; not `{}`: {}", misfit.alternative, misfit.reason)
                })
            }
        }
    }
}
