//! Whether there is room for another task.

use std::fmt;

use async_trait::async_trait;

/// Decides whether the worker may claim now.
#[async_trait]
pub trait Admission: Send + Sync + fmt::Debug {
    /// Asked before each claim.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with the reason; the worker pauses and asks again.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped when the worker stops.
    async fn admit(&self) -> Result<(), Refusal>;
}

/// The worker may not claim now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct Refusal {
    /// What is missing, for the operator.
    pub reason: String,
}

impl Refusal {
    /// Refuses for a reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

/// Lets every claim pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysAdmit;

#[async_trait]
impl Admission for AlwaysAdmit {
    async fn admit(&self) -> Result<(), Refusal> {
        Ok(())
    }
}
