//! Mocks of the services with scripted results.

mod ports;
mod script;
mod upload;

use std::sync::Arc;

use runtime_core::artifact::UploadError;
use runtime_core::index::IndexedTask;
use runtime_core::object::ObjectDownload;
use runtime_core::queue::{
    ArtifactContent, ArtifactEntry, ArtifactResponse, Reclaim, TaskClaim, TaskDefinition,
    TaskStatus,
};
use runtime_core::{ApiError, CredentialsWatch, ExceptionReason, Services};
use tokio::sync::oneshot;

pub use self::upload::{ReceivedUpload, UploadReceiver};

use self::script::Script;
use self::upload::UploadExpectation;
use crate::authorizer::MockAuthorizer;

/// The handle of mock services, which sets the expected calls and their results.
///
/// The calls must be made in the expected order. Any other call panics in the code under test, and the handle
/// panics on drop if an expected call was not made.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use runtime_core::queue::Queue as _;
/// use runtime_core::{ApiError, Run, ServiceError, TaskId};
/// use runtime_mocks::MockQueue;
///
/// let (services, mock) = MockQueue::new();
/// let resolved = ServiceError::new("queue.reclaimTask", 409, "RequestConflict", "run is resolved");
/// mock.expect_reclaim_task(Err(ApiError::Service(resolved)));
///
/// let run = Run { task_id: TaskId::random(), run_id: 0 };
/// assert!(services.queue.reclaim_task(&run).await.unwrap_err().is_conflict());
/// mock.done();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MockQueue {
    script: Arc<Script>,
}

impl MockQueue {
    /// Creates mock services and their handle. The authorizer is a [`MockAuthorizer`], which needs no expectations.
    #[must_use]
    pub fn new() -> (Services, Self) {
        let script = Arc::new(Script::default());
        let services = Services {
            queue: script.clone(),
            index: script.clone(),
            objects: script.clone(),
            uploader: script.clone(),
            authorizer: Arc::new(MockAuthorizer::new(CredentialsWatch::fixed(None))),
        };
        (services, Self { script })
    }

    /// Expects `claimWork`.
    pub fn expect_claim_work(&self, result: Result<Vec<TaskClaim>, ApiError>) {
        self.script.expect("queue.claimWork", None, result);
    }

    /// Expects `reclaimTask`.
    pub fn expect_reclaim_task(&self, result: Result<Reclaim, ApiError>) {
        self.script.expect("queue.reclaimTask", None, result);
    }

    /// Expects `reportCompleted`.
    pub fn expect_report_completed(&self, result: Result<TaskStatus, ApiError>) {
        self.script.expect("queue.reportCompleted", None, result);
    }

    /// Expects `reportFailed`.
    pub fn expect_report_failed(&self, result: Result<TaskStatus, ApiError>) {
        self.script.expect("queue.reportFailed", None, result);
    }

    /// Expects `reportException` with this reason.
    pub fn expect_report_exception(
        &self,
        reason: ExceptionReason,
        result: Result<TaskStatus, ApiError>,
    ) {
        self.script
            .expect("queue.reportException", Some(reason.as_str()), result);
    }

    /// Expects `status` of a task.
    pub fn expect_status(&self, result: Result<TaskStatus, ApiError>) {
        self.script.expect("queue.status", None, result);
    }

    /// Expects `task`, the definition of a task.
    pub fn expect_task(&self, result: Result<TaskDefinition, ApiError>) {
        self.script.expect("queue.task", None, result);
    }

    /// Expects `createArtifact`, called directly and not by an upload.
    pub fn expect_create_artifact(&self, name: &str, result: Result<ArtifactResponse, ApiError>) {
        self.script
            .expect("queue.createArtifact", Some(name), result);
    }

    /// Expects `finishArtifact`, called directly and not by an upload.
    pub fn expect_finish_artifact(&self, name: &str, result: Result<(), ApiError>) {
        self.script
            .expect("queue.finishArtifact", Some(name), result);
    }

    /// Expects `listArtifacts`.
    pub fn expect_list_artifacts(&self, result: Result<Vec<ArtifactEntry>, ApiError>) {
        self.script.expect("queue.listArtifacts", None, result);
    }

    /// Expects `artifact`, the content of an artifact.
    pub fn expect_artifact(&self, name: &str, result: Result<ArtifactContent, ApiError>) {
        self.script.expect("queue.artifact", Some(name), result);
    }

    /// Expects `findTask` of the index.
    pub fn expect_find_task(&self, namespace: &str, result: Result<IndexedTask, ApiError>) {
        self.script
            .expect("index.findTask", Some(namespace), result);
    }

    /// Expects `startDownload` of an object.
    pub fn expect_start_download(&self, name: &str, result: Result<ObjectDownload, ApiError>) {
        self.script
            .expect("object.startDownload", Some(name), result);
    }

    /// Expects the upload of an s3 artifact.
    pub fn expect_s3_artifact(&self, name: &str) -> UploadReceiver {
        self.expect_upload("s3", name)
    }

    /// Expects the upload of an object artifact.
    pub fn expect_object_artifact(&self, name: &str) -> UploadReceiver {
        self.expect_upload("object", name)
    }

    /// Expects the declaration of a reference.
    pub fn expect_redirect_artifact(&self, name: &str) -> UploadReceiver {
        self.expect_upload("reference", name)
    }

    /// Expects the declaration of a link.
    pub fn expect_link_artifact(&self, name: &str) -> UploadReceiver {
        self.expect_upload("link", name)
    }

    /// Expects the declaration of an error.
    pub fn expect_error_artifact(&self, name: &str) -> UploadReceiver {
        self.expect_upload("error", name)
    }

    /// Expects an upload of any kind and fails it.
    pub fn expect_failing_upload(&self, name: &str, error: UploadError) {
        self.script
            .expect("upload", Some(name), Err::<UploadExpectation, _>(error));
    }

    fn expect_upload(&self, kind: &'static str, name: &str) -> UploadReceiver {
        let (sender, receiver) = oneshot::channel();
        let result: Result<_, UploadError> = Ok(UploadExpectation { kind, sender });
        self.script.expect("upload", Some(name), result);
        UploadReceiver {
            name: name.to_owned(),
            receiver,
        }
    }

    /// Returns the calls so far, each with its argument.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.script.calls()
    }

    /// Checks that all expected calls were made.
    ///
    /// # Panics
    ///
    /// Panics and lists the missing calls, if there are any.
    pub fn done(&self) {
        let missing = self.script.missing();
        assert!(missing.is_empty(), "missing calls: {missing:?}");
    }
}

impl Drop for MockQueue {
    fn drop(&mut self) {
        // A second panic would abort the process and hide the first.
        if !std::thread::panicking() {
            self.done();
        }
    }
}
