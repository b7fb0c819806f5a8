//! Scripted services, and a listener that records events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use runtime_core::index::{Index, IndexedTask};
use runtime_core::object::{ObjectDownload, Objects};
use runtime_core::queue::{
    ArtifactContent, ArtifactEntry, ArtifactRequest, ArtifactResponse, ClaimWorkRequest, Queue,
    Reclaim, TaskClaim, TaskDefinition, TaskStatus,
};
use runtime_core::{ApiError, Credentials, ExceptionReason, Run, ServiceError, Services, TaskId};
use runtime_fetcher::{FetchProgress, FetchStage};
use serde_json::{Value, json};

/// A queue, an index and an object service with a few entries.
#[derive(Clone, Debug)]
pub(crate) struct FakeServices {
    nothing: Services,
    /// The responses of the queue, by artifact name.
    pub(crate) artifacts: BTreeMap<String, Value>,
    /// The indexed tasks, by namespace.
    pub(crate) indexed: BTreeMap<String, TaskId>,
    /// The responses of the object service, by object name.
    pub(crate) objects: BTreeMap<String, Value>,
    /// The number of runs of each task.
    pub(crate) runs: u32,
    /// The run of each requested artifact.
    pub(crate) asked: Arc<Mutex<Vec<Option<u32>>>>,
}

impl FakeServices {
    pub(crate) fn new() -> Self {
        Self {
            nothing: Services::disconnected(),
            artifacts: BTreeMap::new(),
            indexed: BTreeMap::new(),
            objects: BTreeMap::new(),
            runs: 1,
            asked: Arc::default(),
        }
    }

    pub(crate) fn services(&self) -> Services {
        let mut services = Services::disconnected();
        services.queue = Arc::new(self.clone());
        services.index = Arc::new(self.clone());
        services.objects = Arc::new(self.clone());
        services
    }
}

fn not_found<T>(method: &'static str) -> Result<T, ApiError> {
    let error = ServiceError::new(method, 404, "ResourceNotFound", "no such resource");
    Err(ApiError::Service(error))
}

#[async_trait]
impl Index for FakeServices {
    async fn find_task(&self, namespace: &str) -> Result<IndexedTask, ApiError> {
        let Some(task_id) = self.indexed.get(namespace) else {
            return not_found("index.findTask");
        };
        Ok(IndexedTask {
            namespace: namespace.to_owned(),
            task_id: task_id.clone(),
            expires: runtime_core::Timestamp::MAX,
        })
    }
}

#[async_trait]
impl Objects for FakeServices {
    async fn start_download(
        &self,
        name: &str,
        _: Option<&Credentials>,
    ) -> Result<ObjectDownload, ApiError> {
        match self.objects.get(name) {
            Some(content) => {
                Ok(serde_json::from_value(content.clone()).expect("download is valid"))
            }
            None => not_found("object.startDownload"),
        }
    }
}

#[async_trait]
impl Queue for FakeServices {
    async fn status(&self, task_id: &TaskId) -> Result<TaskStatus, ApiError> {
        let runs: Vec<_> = (0..self.runs)
            .map(|run| json!({ "runId": run, "state": "completed", "reasonCreated": "scheduled" }))
            .collect();
        let status = json!({
            "taskId": task_id, "state": "completed", "retriesLeft": 5, "runs": runs,
        });
        Ok(serde_json::from_value(status).expect("status is valid"))
    }

    async fn artifact(
        &self,
        _: &TaskId,
        run_id: Option<u32>,
        name: &str,
    ) -> Result<ArtifactContent, ApiError> {
        self.asked
            .lock()
            .expect("lock is not poisoned")
            .push(run_id);
        match self.artifacts.get(name) {
            Some(content) => Ok(serde_json::from_value(content.clone()).expect("content is valid")),
            None => not_found("queue.artifact"),
        }
    }

    async fn claim_work(
        &self,
        queue: &str,
        request: &ClaimWorkRequest,
    ) -> Result<Vec<TaskClaim>, ApiError> {
        self.nothing.queue.claim_work(queue, request).await
    }

    async fn reclaim_task(&self, run: &Run) -> Result<Reclaim, ApiError> {
        self.nothing.queue.reclaim_task(run).await
    }

    async fn report_completed(&self, run: &Run) -> Result<TaskStatus, ApiError> {
        self.nothing.queue.report_completed(run).await
    }

    async fn report_failed(&self, run: &Run) -> Result<TaskStatus, ApiError> {
        self.nothing.queue.report_failed(run).await
    }

    async fn report_exception(
        &self,
        run: &Run,
        reason: ExceptionReason,
    ) -> Result<TaskStatus, ApiError> {
        self.nothing.queue.report_exception(run, reason).await
    }

    async fn task(&self, task_id: &TaskId) -> Result<TaskDefinition, ApiError> {
        self.nothing.queue.task(task_id).await
    }

    async fn create_artifact(
        &self,
        run: &Run,
        name: &str,
        request: &ArtifactRequest,
    ) -> Result<ArtifactResponse, ApiError> {
        self.nothing.queue.create_artifact(run, name, request).await
    }

    async fn finish_artifact(&self, run: &Run, name: &str, id: &str) -> Result<(), ApiError> {
        self.nothing.queue.finish_artifact(run, name, id).await
    }

    async fn list_artifacts(&self, run: &Run) -> Result<Vec<ArtifactEntry>, ApiError> {
        self.nothing.queue.list_artifacts(run).await
    }
}

/// Records the events of a fetch, with retries apart from the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordedProgress {
    pub(crate) events: Arc<Mutex<Vec<FetchProgress>>>,
    pub(crate) retries: Arc<Mutex<Vec<String>>>,
}

impl RecordedProgress {
    /// Returns a listener for a fetch.
    pub(crate) fn listener(&self) -> impl Fn(&FetchProgress) + Send + Sync + 'static + use<> {
        let recorded = self.clone();
        move |progress| match &progress.stage {
            FetchStage::Retrying { cause, .. } => recorded
                .retries
                .lock()
                .expect("lock is not poisoned")
                .push(cause.to_string()),
            _ => recorded
                .events
                .lock()
                .expect("lock is not poisoned")
                .push(progress.clone()),
        }
    }

    pub(crate) fn stages(&self) -> Vec<FetchStage> {
        self.events()
            .iter()
            .map(|event| event.stage.clone())
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<FetchProgress> {
        self.events.lock().expect("lock is not poisoned").clone()
    }
}
