//! Admission control: whether the worker has the resources for another task.

use std::fmt;

use async_trait::async_trait;
use runtime_gc::GarbageCollector;

/// Decides whether the worker may claim a task now.
#[async_trait]
pub trait Admission: Send + Sync + fmt::Debug {
    /// Checks whether another task may be claimed. The worker calls it before each claim.
    ///
    /// # Errors
    ///
    /// An [`AdmissionRefusal`] with the reason. The worker logs it, waits and asks again.
    ///
    /// A panic, and a check that exceeds [`Timing::stage_timeout`](crate::Timing::stage_timeout), count as a refusal.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the worker stops or the check takes too long.
    async fn admit(&self) -> Result<(), AdmissionRefusal>;
}

/// The reason why a worker may not claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct AdmissionRefusal {
    /// The missing resource, for the operator.
    pub reason: String,
}

impl AdmissionRefusal {
    /// Creates a refusal.
    ///
    /// Use the same text while the reason stays the same: the worker logs a reason only when it changes.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

/// An admission that refuses while a garbage collector cannot keep its thresholds for disk, inodes and memory.
#[derive(Debug)]
pub struct CollectorAdmission {
    collector: GarbageCollector,
}

impl CollectorAdmission {
    /// Creates an admission that runs a collection before each claim.
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
        // Without the amounts: they differ at each check, and each new text would be logged.
        let limits: Vec<_> = report
            .shortages
            .iter()
            .map(|shortage| shortage.rule.to_string())
            .collect();
        Err(AdmissionRefusal::new(format!(
            "the machine is low on resources: {}",
            limits.join(", ")
        )))
    }
}
