//! The ports against the embedded Taskcluster, which checks signatures, scopes and rules as the real one does.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use runtime_client::{Client, Settings, TaskclusterDeployment};
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactSource, ArtifactUploader, ContentEncoding, ErrorArtifact,
    LinkArtifact, ObjectArtifact, RedirectArtifact, S3Artifact,
};
use runtime_core::index::Index;
use runtime_core::object::Objects;
use runtime_core::queue::{
    ArtifactContent, ArtifactErrorReason, ClaimWorkRequest, Queue, ResolvedReason, TaskClaim,
    TaskState,
};
use runtime_core::{
    Credentials, CredentialsCell, CredentialsWatch, Deployment, ExceptionReason, Run, ScopeSet,
    TaskId, Timestamp,
};
use runtime_mocks::taskcluster::Taskcluster;
use secrecy::ExposeSecret as _;
use serde_json::json;

const QUEUE: &str = "embedded/worker";

struct World {
    taskcluster: Taskcluster,
    deployment: TaskclusterDeployment,
    /// May do everything.
    client: Client,
}

impl World {
    async fn new() -> Self {
        let builder = Taskcluster::builder().long_poll(Duration::from_millis(50));
        let taskcluster = builder.start().await.expect("starts");
        let mut settings = Settings::default();
        settings.retry.first_delay = Duration::from_millis(1);
        settings.clock = std::sync::Arc::new(taskcluster.clock());
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

    /// A task that runs, with the client that its credentials allow.
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
        source: ArtifactSource::Bytes(bytes.clone()),
    })
}

fn object(bytes: &Bytes) -> ArtifactBody {
    ArtifactBody::Object(ObjectArtifact {
        content_type: "application/octet-stream".to_owned(),
        source: ArtifactSource::Bytes(bytes.clone()),
    })
}

#[tokio::test]
async fn a_task_is_claimed_reclaimed_and_completed() {
    let world = World::new().await;
    assert!(world.claim().await.is_none());
    let task = world.running(json!({ "payload": { "x": 1 } })).await;
    let reclaim = task
        .client
        .reclaim_task(&task.run)
        .await
        .expect("still ours");
    task.credentials.set(reclaim.credentials);
    let status = task
        .client
        .report_completed(&task.run)
        .await
        .expect("still ours");
    assert_eq!(
        (status.state, status.runs[0].reason_resolved.clone()),
        (TaskState::Completed, Some(ResolvedReason::Completed))
    );
    assert_eq!(
        task.client
            .report_completed(&task.run)
            .await
            .expect("the same again")
            .state,
        TaskState::Completed
    );
    assert!(
        task.client
            .report_failed(&task.run)
            .await
            .expect_err("the opposite")
            .is_conflict()
    );
    let definition = world
        .client
        .task(&task.run.task_id)
        .await
        .expect("it exists");
    assert_eq!(definition.payload, json!({ "x": 1 }));
}

#[tokio::test]
async fn a_task_that_needs_a_retry_gets_one() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    task.client
        .report_exception(&task.run, ExceptionReason::WorkerShutdown)
        .await
        .expect("still ours");
    let status = world
        .client
        .status(&task.run.task_id)
        .await
        .expect("it exists");
    assert_eq!((status.state, status.runs.len()), (TaskState::Pending, 2));
}

#[tokio::test]
async fn a_task_made_and_cancelled_by_a_client_conflicts_with_its_worker() {
    let world = World::new().await;
    let first = world.create(json!({})).await;
    let definition = world.client.task(&first).await.expect("it exists");
    world.client.cancel_task(&first).await.expect("may cancel");
    let second = TaskId::random();
    let created = world
        .client
        .create_task(&second, &definition)
        .await
        .expect("the same definition under another id");
    assert_eq!(created.state, TaskState::Pending);
    let claim = world.claim().await.expect("pending");
    assert_eq!(claim.status.task_id, second);
    let task = world
        .deployment
        .client(CredentialsWatch::fixed(Some(claim.credentials)));
    assert_eq!(
        world
            .client
            .cancel_task(&second)
            .await
            .expect("may cancel")
            .state,
        TaskState::Exception
    );
    let run = Run {
        task_id: second,
        run_id: 0,
    };
    assert!(
        task.reclaim_task(&run)
            .await
            .expect_err("cancelled")
            .is_conflict()
    );
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let world = World::new().await;
    assert!(
        world
            .client
            .status(&TaskId::random())
            .await
            .expect_err("unknown")
            .is_not_found()
    );
    assert!(
        world
            .client
            .find_task("no.such.namespace")
            .await
            .expect_err("unknown")
            .is_not_found()
    );
}

#[tokio::test]
async fn bytes_come_back_as_they_were() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    let folder = tempfile::tempdir().expect("a folder");
    let large: Bytes = std::iter::repeat_with(|| fastrand::u8(..))
        .take(3 << 20)
        .collect();
    let path = folder.path().join("large.zip");
    std::fs::write(&path, &large).expect("writes");
    let small = Bytes::from("a line\n".repeat(100));
    let file = S3Artifact {
        content_type: "application/zip".to_owned(),
        encoding: ContentEncoding::Auto,
        source: ArtifactSource::File(path),
    };
    task.upload("public/large.zip", ArtifactBody::S3(file))
        .await;
    task.upload("public/small.log", s3(&small)).await;
    for (name, bytes, encoding) in [
        ("public/large.zip", &large, None),
        ("public/small.log", &small, Some("gzip")),
    ] {
        let stored = world
            .taskcluster
            .read_artifact(task.run.task_id.as_str(), name)
            .await
            .expect("stored");
        assert_eq!(stored.content_encoding.as_deref(), encoding);
        assert!(stored.decoded().expect("decodes") == *bytes, "{name}");
    }
}

#[tokio::test]
async fn objects_come_back_as_they_were_inline_and_by_url() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    for length in [0, 1, 8 << 10, (8 << 10) + 1, 1 << 20] {
        let bytes: Bytes = std::iter::repeat_with(|| fastrand::u8(..))
            .take(length)
            .collect();
        let name = format!("public/{length}.bin");
        let uploaded = task.upload(&name, object(&bytes)).await;
        let stored = world
            .taskcluster
            .read_artifact(task.run.task_id.as_str(), &name)
            .await
            .expect("stored");
        assert!(stored.bytes == bytes, "{length}");

        let content = world
            .client
            .artifact(&task.run.task_id, None, &name)
            .await
            .expect("it exists");
        let ArtifactContent::Object { name, credentials } = content else {
            panic!("{content:?}")
        };
        let download = world
            .client
            .start_download(&name, &credentials)
            .await
            .expect("it exists");
        assert_eq!(download.hashes.get("sha256"), uploaded.sha256.as_ref());
        assert_eq!(download.hashes.get("sha512"), uploaded.sha512.as_ref());
        assert!(download.url.expose_secret().starts_with("http://127.0.0.1"));
    }
}

#[tokio::test]
async fn kinds_without_bytes_say_what_they_are() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    let url = "https://example.com/x".to_owned();
    task.upload("public/a.log", s3(&Bytes::from("a"))).await;
    task.upload(
        "public/ref",
        ArtifactBody::Reference(RedirectArtifact {
            content_type: "text/plain".to_owned(),
            url: url.clone(),
        }),
    )
    .await;
    let link = LinkArtifact {
        content_type: "text/plain".to_owned(),
        artifact: "public/a.log".to_owned(),
    };
    task.upload("public/link", ArtifactBody::Link(link)).await;
    let error = ErrorArtifact {
        reason: ArtifactErrorReason::FileMissing,
        message: "gone".to_owned(),
    };
    task.upload("public/error", ArtifactBody::Error(error))
        .await;

    let content = async |name| {
        world
            .client
            .artifact(&task.run.task_id, Some(0), name)
            .await
            .expect("it exists")
    };
    let ArtifactContent::Reference { url: found } = content("public/ref").await else {
        panic!("no reference")
    };
    assert_eq!(found.expose_secret(), url);
    assert!(matches!(
        content("public/link").await,
        ArtifactContent::S3 { .. }
    ));
    let ArtifactContent::Error { reason, message } = content("public/error").await else {
        panic!("no error")
    };
    assert_eq!(
        (reason, &*message),
        (ArtifactErrorReason::FileMissing, "gone")
    );

    let list = world
        .client
        .list_artifacts(&task.run)
        .await
        .expect("it exists");
    let mut kinds: Vec<_> = list.iter().map(|entry| &*entry.storage_type).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["error", "link", "reference", "s3"]);
}

#[tokio::test]
async fn the_same_upload_can_be_made_again() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    let large = Bytes::from(vec![1; 20_000]);
    for _ in 0..2 {
        task.upload("public/a.log", s3(&Bytes::from("a"))).await;
        task.upload("public/small.bin", object(&Bytes::from("b")))
            .await;
        task.upload("public/large.bin", object(&large)).await;
    }
}

#[tokio::test]
async fn an_object_that_is_there_is_not_replaced_by_another() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    task.upload("public/a.bin", object(&Bytes::from("first")))
        .await;
    let artifact = Artifact {
        name: "public/a.bin".to_owned(),
        expires: None,
        content: object(&Bytes::from("other")),
    };
    let again = task.client.upload(&task.run, task.expires, &artifact).await;
    assert!(again.expect_err("objects are immutable").is_conflict());
}

#[tokio::test]
async fn names_of_any_ascii_survive() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    for name in [
        "public/a b.log",
        "public/a/b?x=1&y#z.log",
        "private/100%25.log",
        "x+y",
    ] {
        task.upload(name, s3(&Bytes::from(name.to_owned()))).await;
        let stored = world
            .taskcluster
            .read_artifact(task.run.task_id.as_str(), name)
            .await
            .expect(name);
        assert!(stored.decoded().expect("decodes") == *name.as_bytes());
    }
}

#[tokio::test]
async fn the_index_finds_what_was_inserted() {
    let world = World::new().await;
    let task_id = world.create(json!({})).await;
    let expires = "2999-01-01T00:00:00Z".parse().expect("a time");
    let insert = async |rank| {
        world
            .client
            .insert_task("a.b.c", &task_id, rank, &json!({ "k": 1 }), expires)
            .await
    };
    assert_eq!(insert(3.0).await.expect("may insert").task_id, task_id);
    let found = world.client.find_task("a.b.c").await.expect("it is there");
    assert_eq!((found.task_id, &*found.namespace), (task_id, "a.b.c"));
}

#[tokio::test]
async fn wrong_credentials_are_refused_with_the_reason_and_the_request() {
    let world = World::new().await;
    let wrong = Credentials::new(world.taskcluster.credentials().client_id, "wrong");
    let client = world
        .deployment
        .client(CredentialsWatch::fixed(Some(wrong)));
    let error = client
        .report_completed(&Run {
            task_id: TaskId::random(),
            run_id: 0,
        })
        .await
        .expect_err("refused");
    assert_eq!(error.status(), Some(401));
    assert!(
        error.to_string().contains("AuthenticationFailed"),
        "{error}"
    );
}

#[tokio::test]
async fn authorized_scopes_lower_the_power_of_a_client() {
    let world = World::new().await;
    let task_id = world.create(json!({})).await;
    let weak = world
        .client
        .with_authorized_scopes(&ScopeSet::new(["queue:get-task:*"]));
    assert_eq!(
        weak.cancel_task(&task_id)
            .await
            .expect_err("not authorized")
            .status(),
        Some(403)
    );
    world
        .client
        .cancel_task(&task_id)
        .await
        .expect("may do everything");
}

#[tokio::test]
async fn credentials_that_expire_during_a_call_are_replaced() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    let reclaim = task
        .client
        .reclaim_task(&task.run)
        .await
        .expect("still ours");
    task.credentials
        .set(Credentials::new("task-client/gone", "x"));
    let (client, run) = (task.client.clone(), task.run.clone());
    let report = tokio::spawn(async move { client.report_completed(&run).await });
    tokio::task::yield_now().await;
    task.credentials.set(reclaim.credentials);
    report
        .await
        .expect("no panic")
        .expect("the new credentials are good");
}

#[tokio::test]
async fn a_signed_url_lets_anybody_read_and_an_unsigned_one_nobody() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    let path = format!("/api/queue/v1/task/{}/status", task.run.task_id);
    let url = format!("{}{path}", world.deployment.root_url());
    let signed = world
        .client
        .authorizer()
        .sign_url(&url, Duration::from_secs(60))
        .expect("signs");
    let header = world
        .client
        .authorizer()
        .sign_header(&Method::GET, &url, None)
        .expect("signs")
        .expect("credentials");
    let plain = reqwest_free_get(&url, None).await;
    let by_bewit = reqwest_free_get(signed.expose_secret(), None).await;
    let by_header = reqwest_free_get(&url, Some(header.to_str().expect("text"))).await;
    assert!(
        by_bewit.contains("200 OK") && by_header.contains("200 OK"),
        "{by_bewit} {by_header}"
    );
    let broken = reqwest_free_get(&signed.expose_secret().replace("bewit=", "bewit=x"), None).await;
    assert!(broken.contains("401"), "{plain} {broken}");
}

/// A request that none of our code makes. Returns the status line.
async fn reqwest_free_get(url: &str, authorization: Option<&str>) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let rest = url.strip_prefix("http://").expect("plain HTTP");
    let (host, path) = rest.split_once('/').expect("a path");
    let authorization = authorization
        .map(|value| format!("authorization: {value}\r\n"))
        .unwrap_or_default();
    let request =
        format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\n{authorization}connection: close\r\n\r\n");
    let mut stream = tokio::net::TcpStream::connect(host)
        .await
        .expect("connects");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("reads");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn other_services_answer_in_types() {
    let world = World::new().await;
    let scopes = world.client.current_scopes().await.expect("may ask");
    assert!(scopes.satisfies("queue:create-task:anything"));
    let token = world
        .client
        .websocktunnel_token("audience", "client.1")
        .await
        .expect("may ask");
    assert_eq!(
        (&*token.wst_client, &*token.wst_audience),
        ("client.1", "audience")
    );
    assert!(
        world
            .client
            .purge_requests(QUEUE, None)
            .await
            .expect("may ask")
            .is_empty()
    );
}
