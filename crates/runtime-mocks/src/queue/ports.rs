//! The ports of `runtime-core` with the results of the script.

use std::io;

use async_trait::async_trait;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactSource, ArtifactStream, ArtifactUploader, UploadError, Uploaded,
};
use runtime_core::index::{Index, IndexedTask};
use runtime_core::object::{ObjectDownload, Objects};
use runtime_core::queue::{
    ArtifactContent, ArtifactEntry, ArtifactRequest, ArtifactResponse, ClaimWorkRequest, Queue,
    Reclaim, TaskClaim, TaskDefinition, TaskStatus,
};
use runtime_core::{ApiError, Credentials, ExceptionReason, Run, TaskId, Timestamp};

use super::script::Script;
use super::upload::{ReceivedUpload, UploadExpectation};

#[async_trait]
impl Queue for Script {
    async fn claim_work(
        &self,
        task_queue_id: &str,
        _: &ClaimWorkRequest,
    ) -> Result<Vec<TaskClaim>, ApiError> {
        self.call("queue.claimWork", task_queue_id)
    }

    async fn reclaim_task(&self, run: &Run) -> Result<Reclaim, ApiError> {
        self.call("queue.reclaimTask", run.task_id.as_str())
    }

    async fn report_completed(&self, run: &Run) -> Result<TaskStatus, ApiError> {
        self.call("queue.reportCompleted", run.task_id.as_str())
    }

    async fn report_failed(&self, run: &Run) -> Result<TaskStatus, ApiError> {
        self.call("queue.reportFailed", run.task_id.as_str())
    }

    async fn report_exception(
        &self,
        _: &Run,
        reason: ExceptionReason,
    ) -> Result<TaskStatus, ApiError> {
        self.call("queue.reportException", reason.as_str())
    }

    async fn status(&self, task_id: &TaskId) -> Result<TaskStatus, ApiError> {
        self.call("queue.status", task_id.as_str())
    }

    async fn task(&self, task_id: &TaskId) -> Result<TaskDefinition, ApiError> {
        self.call("queue.task", task_id.as_str())
    }

    async fn create_artifact(
        &self,
        _: &Run,
        name: &str,
        _: &ArtifactRequest,
    ) -> Result<ArtifactResponse, ApiError> {
        self.call("queue.createArtifact", name)
    }

    async fn finish_artifact(&self, _: &Run, name: &str, _: &str) -> Result<(), ApiError> {
        self.call("queue.finishArtifact", name)
    }

    async fn list_artifacts(&self, run: &Run) -> Result<Vec<ArtifactEntry>, ApiError> {
        self.call("queue.listArtifacts", run.task_id.as_str())
    }

    async fn artifact(
        &self,
        _: &TaskId,
        _: Option<u32>,
        name: &str,
    ) -> Result<ArtifactContent, ApiError> {
        self.call("queue.artifact", name)
    }
}

#[async_trait]
impl Index for Script {
    async fn find_task(&self, namespace: &str) -> Result<IndexedTask, ApiError> {
        self.call("index.findTask", namespace)
    }
}

#[async_trait]
impl Objects for Script {
    async fn start_download(
        &self,
        name: &str,
        _: Option<&Credentials>,
    ) -> Result<ObjectDownload, ApiError> {
        self.call("object.startDownload", name)
    }
}

#[async_trait]
impl ArtifactUploader for Script {
    async fn upload(
        &self,
        _: &Run,
        _: Timestamp,
        artifact: &Artifact,
    ) -> Result<Uploaded, UploadError> {
        let expected: Result<UploadExpectation, UploadError> = self.call("upload", &artifact.name);
        let expected = expected?;
        let (kind, source) = kind_and_source(&artifact.content);
        assert!(
            kind == expected.kind,
            "unexpected upload of `{}` as {kind}: {} is expected",
            artifact.name,
            expected.kind
        );
        let upload = ReceivedUpload {
            artifact: artifact.clone(),
            bytes: read(&artifact.name, source).await?,
        };
        let uploaded = upload.uploaded();
        // Fails if the test has dropped the handle, since it does not check the upload.
        let _ = expected.sender.send(upload);
        Ok(uploaded)
    }
}

/// Returns the storage type and the source of the content.
fn kind_and_source(content: &ArtifactBody) -> (&'static str, Option<&ArtifactSource>) {
    match content {
        ArtifactBody::S3(s3) => ("s3", Some(&s3.source)),
        ArtifactBody::Object(object) => ("object", Some(&object.source)),
        ArtifactBody::Reference(_) => ("reference", None),
        ArtifactBody::Link(_) => ("link", None),
        ArtifactBody::Error(_) => ("error", None),
        _ => ("unknown", None),
    }
}

async fn read(name: &str, source: Option<&ArtifactSource>) -> Result<Vec<u8>, UploadError> {
    let read_error = |path, source| UploadError::Read {
        name: name.to_owned(),
        path,
        source,
    };
    match source {
        None => Ok(Vec::new()),
        Some(ArtifactSource::Bytes(bytes)) => Ok(bytes.to_vec()),
        Some(ArtifactSource::File(path) | ArtifactSource::FileWithoutLinks(path)) => {
            let read = tokio::fs::read(path).await;
            read.map_err(|error| read_error(Some(path.clone()), error))
        }
        Some(ArtifactSource::Stream(stream)) => {
            // Blocks the runtime: the streams of tests are short.
            read_stream(stream).map_err(|error| read_error(None, error))
        }
    }
}

fn read_stream(stream: &ArtifactStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_from_start(|stream| stream.read_to_end(&mut bytes))??;
    Ok(bytes)
}
