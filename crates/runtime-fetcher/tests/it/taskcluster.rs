//! All kinds of references through the real client, against the embedded Taskcluster, which checks signatures and
//! scopes.

use std::time::Duration;

use bytes::Bytes;
use runtime_client::TaskclusterDeployment;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ContentEncoding, ErrorArtifact,
    LinkArtifact, ObjectArtifact, RedirectArtifact, S3Artifact,
};
use runtime_core::queue::{ArtifactErrorReason, ClaimWorkRequest};
use runtime_core::{
    Credentials, CredentialsCell, CredentialsWatch, Deployment, ExceptionReason, Run, Services,
    Timestamp, error_chain,
};
use runtime_fetcher::{FetchContext, FetchError, HttpClient};
use runtime_mocks::taskcluster::Taskcluster;
use serde_json::{Value, json};

use crate::support::{Server, Step, config, get_reference};

struct World {
    taskcluster: Taskcluster,
    deployment: TaskclusterDeployment,
}

impl World {
    async fn new() -> Self {
        let builder = Taskcluster::builder().long_poll(Duration::from_millis(50));
        let taskcluster = builder.start().await.expect("Taskcluster starts");
        let deployment =
            TaskclusterDeployment::new(taskcluster.root_url()).expect("root URL is valid");
        Self {
            taskcluster,
            deployment,
        }
    }

    /// Creates and claims a task with these scopes.
    async fn running(&self, scopes: &[&str]) -> Running {
        let definition = json!({ "scopes": scopes });
        self.taskcluster
            .create_task(definition)
            .expect("task is valid");
        let worker = CredentialsWatch::fixed(Some(self.taskcluster.credentials()));
        let request = ClaimWorkRequest {
            worker_group: "g".to_owned(),
            worker_id: "w".to_owned(),
            tasks: 1,
        };
        let queue = self.deployment.connect(worker).queue;
        let claims = queue.claim_work("embedded/worker", &request).await;
        let claim = claims
            .expect("claim succeeds")
            .pop()
            .expect("task is pending");
        let credentials = CredentialsCell::new(Some(claim.credentials));
        Running {
            services: self.deployment.connect(credentials.watch()),
            run: Run {
                task_id: claim.status.task_id,
                run_id: claim.run_id,
            },
            expires: claim.task.expires.expect("queue sets the expiry"),
            _credentials: credentials,
        }
    }
}

struct Running {
    services: Services,
    run: Run,
    expires: Timestamp,
    /// Keeps the credentials available to the services.
    _credentials: CredentialsCell,
}

impl Running {
    async fn upload(&self, name: &str, content: ArtifactBody) {
        let artifact = Artifact {
            name: name.to_owned(),
            expires: None,
            content,
        };
        let uploader = &self.services.uploader;
        let uploaded = uploader.upload(&self.run, self.expires, &artifact).await;
        uploaded.expect("upload succeeds");
    }

    /// Returns a reference to an artifact of this task.
    fn reference(&self, name: &str) -> Value {
        json!({ "taskId": self.run.task_id.as_str(), "artifact": name })
    }

    /// Fetches as this task.
    async fn fetch(&self, reference: Value) -> Result<Bytes, FetchError> {
        let http = HttpClient::new(config()).expect("configuration is valid");
        let context = FetchContext::new(http, self.services.clone());
        get_reference(&context, reference).await
    }
}

fn s3(text: &'static str) -> ArtifactBody {
    ArtifactBody::S3(S3Artifact {
        content_type: "text/plain".to_owned(),
        encoding: ContentEncoding::Gzip,
        headers: ArtifactHeaders::new(),
        source: ArtifactSource::Bytes(text.into()),
    })
}

fn object(bytes: Bytes) -> ArtifactBody {
    ArtifactBody::Object(ObjectArtifact {
        content_type: "application/octet-stream".to_owned(),
        source: ArtifactSource::Bytes(bytes),
    })
}

fn link(artifact: &str) -> ArtifactBody {
    ArtifactBody::Link(LinkArtifact {
        content_type: "text/plain".to_owned(),
        artifact: artifact.to_owned(),
    })
}

#[tokio::test]
async fn link_artifacts_are_followed() {
    let (world, text) = (World::new().await, "compressed on its way");
    let maker = world.running(&[]).await;
    maker.upload("public/bytes", s3(text)).await;
    maker.upload("public/link", link("public/bytes")).await;
    maker.upload("public/latest", link("public/link")).await;
    let user = world.running(&[]).await;
    for name in ["public/bytes", "public/link", "public/latest"] {
        let bytes = user.fetch(maker.reference(name)).await;
        assert_eq!(bytes.expect(name), text);
    }
}

#[tokio::test]
async fn objects_of_any_size_are_fetched() {
    let world = World::new().await;
    let (maker, user) = (world.running(&[]).await, world.running(&[]).await);
    for length in [0, 9, 1 << 20] {
        let (name, bytes) = (format!("public/{length}"), Bytes::from(vec![7; length]));
        maker.upload(&name, object(bytes.clone())).await;
        let fetched = user.fetch(maker.reference(&name)).await;
        assert!(fetched.expect("fetch succeeds") == bytes, "{length}");
    }
}

#[tokio::test]
async fn reference_artifact_is_fetched_unsigned() {
    let world = World::new().await;
    let server = Server::start(|_| Step::answer("200 OK", &[], b"from elsewhere")).await;
    let (maker, user) = (world.running(&[]).await, world.running(&[]).await);
    let redirect = RedirectArtifact {
        content_type: "text/plain".to_owned(),
        url: server.url("/away"),
    };
    maker
        .upload("public/away", ArtifactBody::Reference(redirect))
        .await;
    let bytes = user.fetch(maker.reference("public/away")).await;
    assert_eq!(bytes.expect("fetch succeeds"), "from elsewhere");
    // The other server is not part of the deployment, so the request is not signed.
    assert_eq!(server.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn linked_error_artifact_reports_its_message() {
    let world = World::new().await;
    let (maker, user) = (world.running(&[]).await, world.running(&[]).await);
    let error = ErrorArtifact {
        reason: ArtifactErrorReason::FileMissing,
        message: "no such file: out.tar".to_owned(),
    };
    maker
        .upload("public/error", ArtifactBody::Error(error))
        .await;
    maker.upload("public/link", link("public/error")).await;
    for name in ["public/error", "public/link"] {
        let error = user.fetch(maker.reference(name)).await;
        let error = error.expect_err("artifact is an error");
        assert!(error.is_broken_reference(), "{error:?}");
        let text = error_chain(&error);
        assert!(text.contains("file-missing-on-worker"), "{text}");
        assert!(text.contains("no such file: out.tar"), "{text}");
    }
}

#[tokio::test]
async fn private_artifact_requires_its_scope() {
    let world = World::new().await;
    let maker = world.running(&[]).await;
    maker.upload("private/bytes", s3("private")).await;
    let friend = world.running(&["queue:get-artifact:private/*"]).await;
    let bytes = friend.fetch(maker.reference("private/bytes")).await;
    assert_eq!(bytes.expect("scopes suffice"), "private");
    let stranger = world.running(&["queue:get-artifact:other/*"]).await;
    let error = stranger.fetch(maker.reference("private/bytes")).await;
    let error = error.expect_err("scopes are missing");
    assert!(error.is_broken_reference(), "{error:?}");
    let text = error_chain(&error);
    assert!(
        text.contains("queue:get-artifact:private/bytes"),
        "scope is not named: {text}"
    );
}

#[tokio::test]
async fn unknown_credentials_are_an_internal_error() {
    let world = World::new().await;
    let maker = world.running(&[]).await;
    maker.upload("public/bytes", s3("public")).await;
    let mut user = world.running(&[]).await;
    let unknown = Credentials::new("nobody", "nothing");
    user.services = world
        .deployment
        .connect(CredentialsWatch::fixed(Some(unknown)));
    let mut reference = maker.reference("public/bytes");
    reference["runId"] = maker.run.run_id.into();
    let error = user
        .fetch(reference)
        .await
        .expect_err("credentials are unknown");
    let reason = error.exception_reason();
    assert_eq!(reason, ExceptionReason::InternalError, "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn index_leads_to_the_artifact() {
    let world = World::new().await;
    let (maker, user) = (world.running(&[]).await, world.running(&[]).await);
    maker.upload("public/bytes", s3("indexed")).await;
    let task_id = maker.run.task_id.as_str();
    world.taskcluster.index_task("project.latest", task_id);
    let reference = |namespace| json!({ "namespace": namespace, "artifact": "public/bytes" });
    let bytes = user.fetch(reference("project.latest")).await;
    assert_eq!(bytes.expect("fetch succeeds"), "indexed");
}
