//! Whether there is room for another task.

use std::fmt;

use async_trait::async_trait;
use runtime_gc::GarbageCollector;

/// Decides whether the worker may claim now.
#[async_trait]
pub trait Admission: Send + Sync + fmt::Debug {
    /// Asked before each claim.
    ///
    /// # Errors
    ///
    /// A [`AdmissionRefusal`] with the reason; the worker pauses and asks again.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped when the worker stops.
    async fn admit(&self) -> Result<(), AdmissionRefusal>;
}

/// The worker may not claim now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct AdmissionRefusal {
    /// What is missing, for the operator.
    pub reason: String,
}

impl AdmissionRefusal {
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
    async fn admit(&self) -> Result<(), AdmissionRefusal> {
        Ok(())
    }
}

/// Refuses while disk, inodes or memory are below the floors of a collector, after freeing what is idle.
#[derive(Debug)]
pub struct CollectorAdmission {
    collector: GarbageCollector,
}

impl CollectorAdmission {
    /// Asks `collector` before each claim.
    #[must_use]
    pub fn new(collector: GarbageCollector) -> Self {
        Self { collector }
    }
}

#[async_trait]
impl Admission for CollectorAdmission {
    async fn admit(&self) -> Result<(), AdmissionRefusal> {
        let report = self.collector.collect().await;
        if report.can_claim() {
            return Ok(());
        }
        // Which limits are short, without amounts, which differ each time.
        let limits: Vec<_> = report
            .shortages
            .iter()
            .map(|shortage| shortage.rule.to_string())
            .collect();
        Err(AdmissionRefusal::new(format!(
            "the machine runs low: {}",
            limits.join(", ")
        )))
    }
}
