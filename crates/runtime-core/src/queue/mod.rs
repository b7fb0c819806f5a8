//! The port to the queue service, with the types of its requests and responses.
//!
//! Types follow the schemas of Taskcluster v106. Unknown fields are ignored, and unknown texts become
//! the `Other` variant of their enum, so that neither breaks a worker.

mod artifact;
mod model;
mod open_enum;

pub use artifact::{
    ArtifactContent, ArtifactEntry, ArtifactErrorReason, ArtifactRequest, ArtifactResponse,
};
pub use model::{
    ClaimWorkRequest, Priority, Reclaim, ResolvedReason, RunStatus, TaskClaim, TaskDefinition,
    TaskMetadata, TaskState, TaskStatus,
};

use std::fmt;

use async_trait::async_trait;

use crate::api_error::ApiError;
use crate::exception::ExceptionReason;
use crate::id::{Run, TaskId};

/// The part of the queue service that a worker uses.
///
/// Implementations retry transient failures within their own time budget, and sign each attempt with
/// the current credentials.
#[async_trait]
pub trait Queue: Send + Sync + fmt::Debug {
    /// Claims up to `request.tasks` pending tasks, waiting up to 20 seconds for the first.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]. After a transient one the queue may hold claims whose response was lost.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a claim whose response is lost blocks its task until the claim expires.
    async fn claim_work(
        &self,
        task_queue_id: &str,
        request: &ClaimWorkRequest,
    ) -> Result<Vec<TaskClaim>, ApiError>;

    /// Extends the claim of a run and gets new credentials for it.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; [`is_conflict`](ApiError::is_conflict) means that the run is resolved.
    ///
    /// # Cancel safety
    ///
    /// Safe, but the credentials of the answer are lost; those before stay valid until they expire.
    async fn reclaim_task(&self, run: &Run) -> Result<Reclaim, ApiError>;

    /// Resolves a run as completed.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; a conflict means that the run is already resolved otherwise.
    ///
    /// # Cancel safety
    ///
    /// The run may or may not be resolved. The same report can be sent again.
    async fn report_completed(&self, run: &Run) -> Result<TaskStatus, ApiError>;

    /// Resolves a run as failed: the task ran, and its verdict is failure.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; a conflict means that the run is already resolved otherwise.
    ///
    /// # Cancel safety
    ///
    /// The run may or may not be resolved. The same report can be sent again.
    async fn report_failed(&self, run: &Run) -> Result<TaskStatus, ApiError>;

    /// Resolves a run as exception, for the given reason.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; a conflict means that the run is already resolved otherwise.
    ///
    /// # Cancel safety
    ///
    /// The run may or may not be resolved. The same report can be sent again.
    async fn report_exception(
        &self,
        run: &Run,
        reason: ExceptionReason,
    ) -> Result<TaskStatus, ApiError>;

    /// Reads the status of a task and its runs.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    async fn status(&self, task_id: &TaskId) -> Result<TaskStatus, ApiError>;

    /// Reads the definition of a task.
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
    /// The artifact may or may not be declared. The same request can be sent again.
    async fn create_artifact(
        &self,
        run: &Run,
        name: &str,
        request: &ArtifactRequest,
    ) -> Result<ArtifactResponse, ApiError>;

    /// Publishes an `object` artifact after its upload.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// The artifact may or may not be visible. The same request can be sent again.
    async fn finish_artifact(&self, run: &Run, name: &str, upload_id: &str)
    -> Result<(), ApiError>;

    /// Lists all artifacts of a run.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    async fn list_artifacts(&self, run: &Run) -> Result<Vec<ArtifactEntry>, ApiError>;

    /// Returns the location of an artifact's bytes; without `run_id`, of the latest run.
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
