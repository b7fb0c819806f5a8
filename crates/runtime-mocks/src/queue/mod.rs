//! The services of a deployment, played by a script.

mod ports;
mod script;

use std::sync::Arc;

use runtime_core::artifact::{Artifact, ArtifactBody, UploadError, Uploaded};
use runtime_core::index::IndexedTask;
use runtime_core::object::ObjectDownload;
use runtime_core::queue::{
    ArtifactContent, ArtifactEntry, ArtifactResponse, Reclaim, TaskClaim, TaskDefinition,
    TaskStatus,
};
use runtime_core::{ApiError, ExceptionReason, Services};
use tokio::sync::oneshot;

use self::script::Script;

/// The handle of mock services: which calls are expected, in which order, and their answers.
///
/// Calls must come exactly as expected. One that does not panics in the code under test, and a
/// handle that is dropped before everything expected has come panics too.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use runtime_core::queue::Queue as _;
/// use runtime_core::{ApiError, Run, ServiceError, TaskId};
/// use runtime_mocks::MockQueue;
///
/// let (services, mock) = MockQueue::new();
/// let gone = ServiceError::new("queue.reclaimTask", 409, "RequestConflict", "run is resolved");
/// mock.expect_reclaim_task(Err(ApiError::Service(gone)));
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
    /// Makes services, all of them mocks, and the handle that tells what to expect.
    #[must_use]
    pub fn new() -> (Services, Self) {
        let script = Arc::new(Script::default());
        let services = Services {
            queue: script.clone(),
            index: script.clone(),
            objects: script.clone(),
            uploader: script.clone(),
        };
        (services, Self { script })
    }

    /// Expects a poll for tasks.
    pub fn expect_claim_work(&self, answer: Result<Vec<TaskClaim>, ApiError>) {
        self.script.expect("queue.claimWork", None, answer);
    }

    /// Expects a reclaim.
    pub fn expect_reclaim_task(&self, answer: Result<Reclaim, ApiError>) {
        self.script.expect("queue.reclaimTask", None, answer);
    }

    /// Expects a run to be reported as completed.
    pub fn expect_report_completed(&self, answer: Result<TaskStatus, ApiError>) {
        self.script.expect("queue.reportCompleted", None, answer);
    }

    /// Expects a run to be reported as failed.
    pub fn expect_report_failed(&self, answer: Result<TaskStatus, ApiError>) {
        self.script.expect("queue.reportFailed", None, answer);
    }

    /// Expects a run to be reported as exception, with this reason.
    pub fn expect_report_exception(
        &self,
        reason: ExceptionReason,
        answer: Result<TaskStatus, ApiError>,
    ) {
        self.script
            .expect("queue.reportException", Some(reason.as_str()), answer);
    }

    /// Expects a question for the status of a task.
    pub fn expect_status(&self, answer: Result<TaskStatus, ApiError>) {
        self.script.expect("queue.status", None, answer);
    }

    /// Expects a question for the definition of a task.
    pub fn expect_task(&self, answer: Result<TaskDefinition, ApiError>) {
        self.script.expect("queue.task", None, answer);
    }

    /// Expects an artifact to be declared by itself, not by an upload.
    pub fn expect_create_artifact(&self, name: &str, answer: Result<ArtifactResponse, ApiError>) {
        self.script
            .expect("queue.createArtifact", Some(name), answer);
    }

    /// Expects an object artifact to be finished by itself, not by an upload.
    pub fn expect_finish_artifact(&self, name: &str, answer: Result<(), ApiError>) {
        self.script
            .expect("queue.finishArtifact", Some(name), answer);
    }

    /// Expects a question for the artifacts of a run.
    pub fn expect_list_artifacts(&self, answer: Result<Vec<ArtifactEntry>, ApiError>) {
        self.script.expect("queue.listArtifacts", None, answer);
    }

    /// Expects a question for the place of an artifact.
    pub fn expect_artifact(&self, name: &str, answer: Result<ArtifactContent, ApiError>) {
        self.script.expect("queue.artifact", Some(name), answer);
    }

    /// Expects a look into the index.
    pub fn expect_find_task(&self, namespace: &str, answer: Result<IndexedTask, ApiError>) {
        self.script
            .expect("index.findTask", Some(namespace), answer);
    }

    /// Expects a question for the place of an object.
    pub fn expect_start_download(&self, name: &str, answer: Result<ObjectDownload, ApiError>) {
        self.script
            .expect("object.startDownload", Some(name), answer);
    }

    /// Expects a file to be uploaded as s3 artifact.
    pub fn expect_s3_artifact(&self, name: &str) -> ExpectedUpload {
        self.expect_upload("s3", name)
    }

    /// Expects a file to be uploaded as object artifact.
    pub fn expect_object_artifact(&self, name: &str) -> ExpectedUpload {
        self.expect_upload("object", name)
    }

    /// Expects a redirect to be declared.
    pub fn expect_redirect_artifact(&self, name: &str) -> ExpectedUpload {
        self.expect_upload("reference", name)
    }

    /// Expects a link to be declared.
    pub fn expect_link_artifact(&self, name: &str) -> ExpectedUpload {
        self.expect_upload("link", name)
    }

    /// Expects an error artifact to be declared.
    pub fn expect_error_artifact(&self, name: &str) -> ExpectedUpload {
        self.expect_upload("error", name)
    }

    /// Expects an upload that fails.
    pub fn expect_failing_upload(&self, name: &str, error: UploadError) {
        self.script
            .expect("upload", Some(name), Err::<UploadAnswer, _>(error));
    }

    fn expect_upload(&self, kind: &'static str, name: &str) -> ExpectedUpload {
        let (sender, receiver) = oneshot::channel();
        let answer: Result<UploadAnswer, UploadError> = Ok(UploadAnswer { kind, sender });
        self.script.expect("upload", Some(name), answer);
        ExpectedUpload {
            name: name.to_owned(),
            receiver,
        }
    }

    /// The calls that have come so far, each with what it was about.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.script.calls()
    }

    /// Checks that everything expected has come.
    ///
    /// # Panics
    ///
    /// Panics and names what is missing, if something is.
    pub fn done(&self) {
        let missing = self.script.missing();
        assert!(
            missing.is_empty(),
            "these expected calls never came: {missing:?}"
        );
    }
}

impl Drop for MockQueue {
    fn drop(&mut self) {
        // A second panic would hide the first, and end the process.
        if !std::thread::panicking() {
            self.done();
        }
    }
}

/// What the mock does with an upload that comes as expected.
struct UploadAnswer {
    kind: &'static str,
    sender: oneshot::Sender<ReceivedUpload>,
}

/// An upload that is expected.
#[derive(Debug)]
#[must_use = "it is expected whether or not somebody looks at it"]
pub struct ExpectedUpload {
    name: String,
    receiver: oneshot::Receiver<ReceivedUpload>,
}

/// An upload that has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedUpload {
    /// The artifact, as it was asked for.
    pub artifact: Artifact,
    /// The bytes, before any encoding; none for what has none.
    pub bytes: Vec<u8>,
}

impl ExpectedUpload {
    /// Waits until the upload has come.
    ///
    /// # Panics
    ///
    /// Panics if it can no longer come, because the services are gone.
    ///
    /// # Cancel safety
    ///
    /// The upload is lost: the handle is gone with the future.
    pub async fn received(self) -> ReceivedUpload {
        let Ok(upload) = self.receiver.await else {
            panic!("the upload of `{}` never came", self.name);
        };
        upload
    }
}

impl ReceivedUpload {
    /// The URL, if it is a redirect.
    #[must_use]
    pub fn redirect(&self) -> Option<&str> {
        match &self.artifact.content {
            ArtifactBody::Reference(redirect) => Some(&redirect.url),
            _ => None,
        }
    }

    fn uploaded(&self) -> Uploaded {
        let mut uploaded = Uploaded::default();
        uploaded.bytes = self.bytes.len() as u64;
        uploaded
    }
}
