//! A Taskcluster deployment and its services.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderValue, Method};
use jiff::Timestamp;

use crate::api_error::ApiError;
use crate::artifact::{Artifact, ArtifactUploader, UploadError, Uploaded};
use crate::authorizer::{RequestAuthorizer, SignError};
use crate::credentials::{Credentials, CredentialsWatch};
use crate::exception::ExceptionReason;
use crate::id::{Run, TaskId};
use crate::index::{Index, IndexedTask};
use crate::object::{ObjectDownload, Objects};
use crate::queue::{
    ArtifactContent, ArtifactEntry, ArtifactRequest, ArtifactResponse, ClaimWorkRequest, Queue,
    Reclaim, TaskClaim, TaskDefinition, TaskStatus,
};
use crate::scopes::ScopeSet;
use crate::secret::Secret;

/// A Taskcluster deployment, to which a worker connects with different credentials.
pub trait Deployment: Send + Sync + fmt::Debug {
    /// Returns the root URL, without a trailing slash.
    fn root_url(&self) -> &str;

    /// Creates clients that sign each attempt with the current value of `credentials`.
    fn connect(&self, credentials: CredentialsWatch) -> Services;
}

/// The services of a deployment, all with the same credentials. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Services {
    /// Claims, reclaims and resolves runs.
    pub queue: Arc<dyn Queue>,
    /// Finds tasks by namespace.
    pub index: Arc<dyn Index>,
    /// Finds the download URLs of objects.
    pub objects: Arc<dyn Objects>,
    /// Uploads artifacts.
    pub uploader: Arc<dyn ArtifactUploader>,
    /// Signs requests that another HTTP client sends.
    pub authorizer: Arc<dyn RequestAuthorizer>,
}

impl Services {
    /// Returns services for tests and contexts without a deployment: every call returns
    /// [`ApiError::NotConnected`], and every signature fails with [`SignError::NotConnected`].
    #[must_use]
    pub fn disconnected() -> Self {
        let disconnected = Arc::new(Disconnected);
        Self {
            queue: disconnected.clone(),
            index: disconnected.clone(),
            objects: disconnected.clone(),
            uploader: disconnected.clone(),
            authorizer: disconnected,
        }
    }
}

#[derive(Debug)]
struct Disconnected;

fn refuse<T>(method: &'static str) -> Result<T, ApiError> {
    Err(ApiError::NotConnected { method })
}

#[async_trait]
impl Queue for Disconnected {
    async fn claim_work(&self, _: &str, _: &ClaimWorkRequest) -> Result<Vec<TaskClaim>, ApiError> {
        refuse("queue.claimWork")
    }

    async fn reclaim_task(&self, _: &Run) -> Result<Reclaim, ApiError> {
        refuse("queue.reclaimTask")
    }

    async fn report_completed(&self, _: &Run) -> Result<TaskStatus, ApiError> {
        refuse("queue.reportCompleted")
    }

    async fn report_failed(&self, _: &Run) -> Result<TaskStatus, ApiError> {
        refuse("queue.reportFailed")
    }

    async fn report_exception(&self, _: &Run, _: ExceptionReason) -> Result<TaskStatus, ApiError> {
        refuse("queue.reportException")
    }

    async fn status(&self, _: &TaskId) -> Result<TaskStatus, ApiError> {
        refuse("queue.status")
    }

    async fn task(&self, _: &TaskId) -> Result<TaskDefinition, ApiError> {
        refuse("queue.task")
    }

    async fn create_artifact(
        &self,
        _: &Run,
        _: &str,
        _: &ArtifactRequest,
    ) -> Result<ArtifactResponse, ApiError> {
        refuse("queue.createArtifact")
    }

    async fn finish_artifact(&self, _: &Run, _: &str, _: &str) -> Result<(), ApiError> {
        refuse("queue.finishArtifact")
    }

    async fn list_artifacts(&self, _: &Run) -> Result<Vec<ArtifactEntry>, ApiError> {
        refuse("queue.listArtifacts")
    }

    async fn artifact(
        &self,
        _: &TaskId,
        _: Option<u32>,
        _: &str,
    ) -> Result<ArtifactContent, ApiError> {
        refuse("queue.artifact")
    }
}

#[async_trait]
impl Index for Disconnected {
    async fn find_task(&self, _: &str) -> Result<IndexedTask, ApiError> {
        refuse("index.findTask")
    }
}

#[async_trait]
impl Objects for Disconnected {
    async fn start_download(
        &self,
        _: &str,
        _: Option<&Credentials>,
    ) -> Result<ObjectDownload, ApiError> {
        refuse("object.startDownload")
    }
}

#[async_trait]
impl ArtifactUploader for Disconnected {
    async fn upload(
        &self,
        _: &Run,
        _: Timestamp,
        artifact: &Artifact,
    ) -> Result<Uploaded, UploadError> {
        let source = ApiError::NotConnected {
            method: "queue.createArtifact",
        };
        Err(UploadError::Declare {
            name: artifact.name.clone(),
            source,
        })
    }
}

impl RequestAuthorizer for Disconnected {
    fn sign_header(
        &self,
        _: &Method,
        _: &str,
        _: Option<(&str, &[u8])>,
    ) -> Result<HeaderValue, SignError> {
        Err(SignError::NotConnected)
    }

    fn sign_url(&self, _: &str, _: Duration) -> Result<Secret, SignError> {
        Err(SignError::NotConnected)
    }

    fn with_authorized_scopes(&self, _: &ScopeSet) -> Arc<dyn RequestAuthorizer> {
        Arc::new(Self)
    }
}
