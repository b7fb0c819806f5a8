//! The port to the queue service, with the types of its requests and responses.
//!
//! The types follow the schemas of Taskcluster v106. So that newer services do not break a worker, unknown
//! fields are ignored and unknown texts become the `Other` variant of their enum.

mod artifact;
mod claim;
mod model;
mod open_enum;

pub use artifact::{
    ArtifactContent, ArtifactEntry, ArtifactErrorReason, ArtifactRequest, ArtifactResponse,
};
pub use claim::{ClaimWorkRequest, Reclaim, TaskClaim};
pub use model::{
    Priority, ResolvedReason, RunStatus, TaskDefinition, TaskMetadata, TaskState, TaskStatus,
};

use std::fmt;

use async_trait::async_trait;

use crate::api_error::ApiError;
use crate::exception::ExceptionReason;
use crate::id::{Run, TaskId};

/// The part of the queue service that a worker uses.
///
/// Implementations retry transient failures within a time budget that they choose, and sign each attempt
/// with the current credentials.
#[async_trait]
pub trait Queue: Send + Sync + fmt::Debug {
    /// Claims up to `request.tasks` pending tasks, waiting up to 20 seconds for the first.
    ///
    /// Implementations send the request once, without retries: the caller computes the latest possible time
    /// of a response from the time of this call.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]. After a transient one, the queue may hold claims whose response was lost.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a claim whose response is lost blocks its task until the claim expires.
    async fn claim_work(
        &self,
        task_queue_id: &str,
        request: &ClaimWorkRequest,
    ) -> Result<Vec<TaskClaim>, ApiError>;

    /// Extends the claim of a run and returns new credentials for it.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; [`is_conflict`](ApiError::is_conflict) means that the run is resolved.
    ///
    /// # Cancel safety
    ///
    /// Safe, but the new credentials may be lost. The previous ones stay valid until they expire.
    async fn reclaim_task(&self, run: &Run) -> Result<Reclaim, ApiError>;

    /// Resolves a run as completed.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; a conflict means that the run is already resolved differently.
    ///
    /// # Cancel safety
    ///
    /// The run may or may not be resolved. The same call can be repeated.
    async fn report_completed(&self, run: &Run) -> Result<TaskStatus, ApiError>;

    /// Resolves a run as failed: the task ran, and its verdict is failure.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; a conflict means that the run is already resolved differently.
    ///
    /// # Cancel safety
    ///
    /// The run may or may not be resolved. The same call can be repeated.
    async fn report_failed(&self, run: &Run) -> Result<TaskStatus, ApiError>;

    /// Resolves a run as exception.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; a conflict means that the run is already resolved differently.
    ///
    /// # Cancel safety
    ///
    /// The run may or may not be resolved. The same call can be repeated.
    async fn report_exception(
        &self,
        run: &Run,
        reason: ExceptionReason,
    ) -> Result<TaskStatus, ApiError>;

    /// Returns the status of a task and its runs.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    async fn status(&self, task_id: &TaskId) -> Result<TaskStatus, ApiError>;

    /// Returns the definition of a task.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    async fn task(&self, task_id: &TaskId) -> Result<TaskDefinition, ApiError>;

    /// Declares an artifact. For `s3` and `object`, the response states where to upload the bytes.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; a conflict means that the name is already used with different content.
    ///
    /// # Cancel safety
    ///
    /// The artifact may or may not be declared. The same call can be repeated, except for an `object`, whose upload
    /// the queue returns only once.
    async fn create_artifact(
        &self,
        run: &Run,
        name: &str,
        request: &ArtifactRequest,
    ) -> Result<ArtifactResponse, ApiError>;

    /// Completes an `object` artifact after its upload, so that it can be downloaded.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// The artifact may or may not be complete. The same call can be repeated.
    async fn finish_artifact(&self, run: &Run, name: &str, upload_id: &str)
    -> Result<(), ApiError>;

    /// Returns all artifacts of a run.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    async fn list_artifacts(&self, run: &Run) -> Result<Vec<ArtifactEntry>, ApiError>;

    /// Returns the location of an artifact's bytes. Without `run_id`, the artifact is of the latest run.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    async fn artifact(
        &self,
        task_id: &TaskId,
        run_id: Option<u32>,
        name: &str,
    ) -> Result<ArtifactContent, ApiError>;
}
