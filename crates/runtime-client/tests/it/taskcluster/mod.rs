//! The ports with the embedded Taskcluster, which checks signatures, scopes and rules as the real one does.

mod access;
mod artifacts;
mod checks;
mod faults;
mod tasks;

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use runtime_client::{Client, ClientSettings, TaskclusterDeployment};
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ArtifactUploader, ContentEncoding,
    ErrorArtifact, LinkArtifact, ObjectArtifact, RedirectArtifact, S3Artifact,
};
use runtime_core::index::Index;
use runtime_core::object::Objects;
use runtime_core::queue::{
    ArtifactContent, ArtifactErrorReason, ClaimWorkRequest, Queue, ResolvedReason, TaskClaim,
    TaskState,
};
use runtime_core::{
    ApiError, Credentials, CredentialsCell, CredentialsWatch, Deployment, ExceptionReason, Run,
    ScopeSet, TaskId, Timestamp,
};
use runtime_mocks::taskcluster::Taskcluster;
use secrecy::ExposeSecret as _;
use serde_json::json;

const QUEUE: &str = "embedded/worker";

struct World {
    taskcluster: Taskcluster,
    deployment: TaskclusterDeployment,
    /// A client with all scopes.
    client: Client,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a Taskcluster with changed client settings.
    async fn with(change: impl FnOnce(&mut ClientSettings)) -> Self {
        let builder = Taskcluster::builder().long_poll(Duration::from_millis(50));
        let taskcluster = builder.start().await.expect("starts");
        let mut settings = ClientSettings::default();
        settings.retry.first_delay = Duration::from_millis(1);
        settings.clock = std::sync::Arc::new(taskcluster.clock());
        change(&mut settings);
        let deployment = TaskclusterDeployment::with_settings(taskcluster.root_url(), settings)
            .expect("a root URL");
        let client = deployment.client(CredentialsWatch::fixed(Some(taskcluster.credentials())));
        Self {
            taskcluster,
            deployment,
            client,
        }
    }

    async fn create(&self, changes: serde_json::Value) -> TaskId {
        let task_id = self.taskcluster.create_task(changes).expect("a valid task");
        task_id.parse().expect("a task id")
    }

    async fn claim(&self) -> Option<TaskClaim> {
        let request = ClaimWorkRequest {
            worker_group: "g".to_owned(),
            worker_id: "w".to_owned(),
            tasks: 1,
        };
        self.client
            .claim_work(QUEUE, &request)
            .await
            .expect("may claim")
            .pop()
    }

    /// Creates and claims a task. Returns it with a client that has the credentials of the task.
    async fn running(&self, changes: serde_json::Value) -> Running {
        self.create(changes).await;
        let claim = self.claim().await.expect("the task is pending");
        let credentials = CredentialsCell::new(Some(claim.credentials.clone()));
        Running {
            run: Run {
                task_id: claim.status.task_id.clone(),
                run_id: claim.run_id,
            },
            client: self.deployment.client(credentials.watch()),
            expires: claim.task.expires.expect("the queue sets it"),
            credentials,
        }
    }
}

struct Running {
    run: Run,
    client: Client,
    expires: Timestamp,
    credentials: CredentialsCell,
}

impl Running {
    async fn upload(&self, name: &str, content: ArtifactBody) -> runtime_core::artifact::Uploaded {
        let artifact = Artifact {
            name: name.to_owned(),
            expires: None,
            content,
        };
        self.client
            .upload(&self.run, self.expires, &artifact)
            .await
            .expect("uploads")
    }
}

fn s3(bytes: &Bytes) -> ArtifactBody {
    ArtifactBody::S3(S3Artifact {
        content_type: "text/plain".to_owned(),
        encoding: ContentEncoding::Auto,
        headers: ArtifactHeaders::new(),
        source: ArtifactSource::Bytes(bytes.clone()),
    })
}

fn object(bytes: &Bytes) -> ArtifactBody {
    ArtifactBody::Object(ObjectArtifact {
        content_type: "application/octet-stream".to_owned(),
        source: ArtifactSource::Bytes(bytes.clone()),
    })
}
