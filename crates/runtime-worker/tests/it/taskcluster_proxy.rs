//! The Taskcluster proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{poll, stream};
use http::{Method, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use runtime_client::TaskclusterDeployment;
use runtime_core::queue::ClaimWorkRequest;
use runtime_core::webhook::{Body, Handler};
use runtime_core::{
    BoxError, CredentialsWatch, Deployment as _, Environment, MalformedPayloadError, TaskContext,
    TaskContextController, TaskError, TaskInfo, TemporaryStorage, WorkerIdentity,
};
use runtime_worker::plugins::TaskclusterProxy;
use runtime_worker::{Plugin as _, Sandbox, SandboxBuilder, TaskRun};
use serde_json::{Value, json};

use crate::support::TestBed;

fn plugin() -> TaskclusterProxy {
    TaskclusterProxy::new(&[]).expect("no certificates")
}

/// Returns a payload with the proxy.
fn with_proxy(script: &str) -> Value {
    json!({
        "command": ["sh", "-c", script],
        "features": { "taskclusterProxy": true },
    })
}

/// Requests a path without other programs than `bash`.
const GET: &str = r#"get() { bash -c 'url=${1#http://}; host=${url%%/*}; exec 3<>"/dev/tcp/${host%:*}/${host##*:}"; printf "GET /%s%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" "${url#*/}" "$2" "$host" >&3; cat <&3' - "$TASKCLUSTER_PROXY_URL" "$1"; }
"#;

#[tokio::test]
async fn requests_of_a_task_are_signed_with_its_scopes() {
    let bed = TestBed::new().await;
    for name in ["mine", "other"] {
        let word = format!("{name}-word");
        bed.taskcluster.set_secret(name, json!({ "word": word }));
    }
    let script = format!("{GET} get /api/secrets/v1/secret/mine; get /api/secrets/v1/secret/other");
    let task_id = bed.create_with(json!({
        "payload": with_proxy(&script),
        "scopes": ["secrets:get:mine"],
    }));
    let running = bed.start(bed.worker().plugin(plugin()));
    let state = bed.resolved(&task_id).await.state_and_reason();
    running.stop().await;
    let log = bed.log(&task_id).await;
    assert_eq!(state, "completed", "{log}");
    if log.contains("bash: not found") {
        println!("skipped: needs bash");
        return;
    }
    assert!(log.contains("mine-word"), "{log}");
    assert!(log.contains("HTTP/1.1 403"), "{log}");
    assert!(!log.contains("other-word"), "{log}");
}

#[tokio::test]
async fn task_without_the_feature_has_no_proxy() {
    let bed = TestBed::new().await;
    let task_id =
        bed.create(json!({ "command": ["sh", "-c", "echo url:$TASKCLUSTER_PROXY_URL."] }));
    let running = bed.start(bed.worker().plugin(plugin()));
    bed.resolved(&task_id).await;
    running.stop().await;
    let log = bed.log(&task_id).await;
    assert!(log.contains("\nurl:.\n"), "{log}");
}

/// Keeps the handler that a plugin attaches.
#[derive(Default)]
struct Captured(Option<Arc<dyn Handler>>);

#[async_trait]
impl SandboxBuilder for Captured {
    fn attach_proxy(
        &mut self,
        variable: &str,
        handler: Arc<dyn Handler>,
    ) -> Result<(), MalformedPayloadError> {
        assert_eq!(variable, "TASKCLUSTER_PROXY_URL");
        self.0 = Some(handler);
        Ok(())
    }

    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        unreachable!("nothing starts")
    }
}

/// A proxy of a claimed run, which the test calls itself.
struct ClaimedProxy {
    bed: TestBed,
    run: TaskRun,
    controller: TaskContextController,
    handler: Arc<dyn Handler>,
    _folder: tempfile::TempDir,
}

impl ClaimedProxy {
    async fn new(scopes: &[&str]) -> Self {
        let bed = TestBed::new().await;
        bed.create_with(json!({ "payload": with_proxy("true"), "scopes": scopes }));
        let root_url = bed.taskcluster.root_url();
        let deployment = TaskclusterDeployment::new(root_url).expect("a valid root URL");
        let own = CredentialsWatch::fixed(Some(bed.taskcluster.credentials()));
        let request = ClaimWorkRequest {
            worker_group: "group".to_owned(),
            worker_id: "worker".to_owned(),
            tasks: 1,
        };
        let queue = deployment.connect(own).queue;
        let claims = queue.claim_work("test/linux", &request).await;
        let claim = claims.expect("a claim").remove(0);
        let folder = tempfile::tempdir().expect("a folder for the test");
        let info = TaskInfo::from_claim(&claim);
        let created = TaskContext::create(&folder.path().join("log"), info);
        let (context, controller) = created.expect("a folder for the test");
        controller.set_credentials(claim.credentials.clone());
        controller.set_services(deployment.connect(controller.credentials()));
        let storage = TemporaryStorage::open(&folder.path().join("storage"));
        let identity = WorkerIdentity {
            root_url: root_url.to_owned(),
            task_queue_id: "test/linux".to_owned(),
            worker_group: "group".to_owned(),
            worker_id: "worker".to_owned(),
        };
        let storage = storage.expect("a folder for the test");
        let environment = Environment::builder(identity, storage).build();
        let run = TaskRun::new(context, environment);
        let created = plugin().new_task_plugin(&run).await;
        let mut task = created.expect("a valid payload").expect("a proxy");
        let mut captured = Captured::default();
        let built = task.build_sandbox(&mut captured).await;
        built.expect("a builder with proxies");
        Self {
            bed,
            run,
            controller,
            handler: captured.0.expect("a handler"),
            _folder: folder,
        }
    }

    /// Sends a request. Returns the status and the body.
    async fn send(&self, method: Method, path: &str, body: &str) -> (StatusCode, String) {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("authorization", "Bearer forged");
        let request = request.body(Body::from(body.to_owned()));
        let response = self.handler.handle(request.expect("a valid request")).await;
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body");
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        (status, body)
    }
}

#[tokio::test]
async fn artifacts_of_the_run_may_be_created() {
    let proxy = ClaimedProxy::new(&[]).await;
    let body = json!({
        "storageType": "reference", "expires": "2100-01-01T00:00:00Z",
        "contentType": "text/plain", "url": "https://example.com/",
    });
    let id = proxy.run.context.run().clone();
    let path = format!(
        "/api/queue/v1/task/{}/runs/{}/artifacts/public%2Fa",
        id.task_id, id.run_id
    );
    let (status, answer) = proxy.send(Method::POST, &path, &body.to_string()).await;
    // The expiry of the task is the limit, which shows that the call was authorized.
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert!(answer.contains("expire"), "{answer}");
    let path = format!("/queue/v1/task/{}/runs/{}/completed", id.task_id, id.run_id);
    let (status, answer) = proxy.send(Method::POST, &path, "{}").await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
}

#[tokio::test]
async fn failed_attempts_are_repeated() {
    let proxy = ClaimedProxy::new(&["secrets:get:a"]).await;
    let secret = json!({ "word": "hush" });
    proxy.bed.taskcluster.set_secret("a", secret);
    let fault = super::faults::status("secrets.get", 503);
    let injected = proxy.bed.taskcluster.inject(fault.times(2));
    let (status, body) = proxy
        .send(Method::GET, "/api/secrets/v1/secret/a", "")
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(body.contains("hush"), "{body}");
    assert_eq!(injected.hits(), 2);
}

#[tokio::test]
async fn other_targets_are_refused() {
    let proxy = ClaimedProxy::new(&[]).await;
    for path in [
        "/",
        "/example.com/v1/x",
        "/credentials",
        "/api/queue/v1/../../x",
    ] {
        let (status, body) = proxy.send(Method::GET, path, "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {body}");
    }
    let (status, body) = proxy
        .send(Method::POST, "/bewit", "https://example.com/x")
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
}

/// Returns a request whose body never ends, and counts the reads of it.
fn endless(path: &str, reads: &Arc<AtomicUsize>) -> http::Request<Body> {
    let reads = Arc::clone(reads);
    let stream = stream::poll_fn(move |_| {
        reads.fetch_add(1, Ordering::Relaxed);
        Poll::<Option<Result<Frame<Bytes>, BoxError>>>::Pending
    });
    let request = http::Request::post(path).body(Body::new(StreamBody::new(stream)));
    request.expect("a valid request")
}

#[tokio::test]
async fn bodies_share_a_budget() {
    let proxy = ClaimedProxy::new(&[]).await;
    let reads = Arc::new(AtomicUsize::new(0));
    let path = "/api/queue/v1/ping";
    let mut requests: Vec<_> = (0..256)
        .map(|_| proxy.handler.handle(endless(path, &reads)))
        .collect();
    for request in &mut requests {
        assert!(poll!(request).is_pending());
    }
    // Of 16 MiB each.
    assert_eq!(reads.load(Ordering::Relaxed), 4);
    let first = requests.remove(0);
    drop(first);
    assert!(poll!(&mut requests[3]).is_pending());
    assert_eq!(reads.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn bodies_of_invalid_requests_are_not_read() {
    let proxy = ClaimedProxy::new(&[]).await;
    let reads = Arc::new(AtomicUsize::new(0));
    let response = proxy.handler.handle(endless("/credentials", &reads)).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(reads.load(Ordering::Relaxed), 0);
    let long = format!("/{}", "x".repeat(8 << 10));
    let (status, body) = proxy.send(Method::POST, "/bewit", &long).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{body}");
}

#[tokio::test]
async fn urls_are_signed_for_the_deployment() {
    let proxy = ClaimedProxy::new(&[]).await;
    let (status, body) = proxy
        .send(Method::POST, "/bewit", "/api/queue/v1/ping")
        .await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let root_url = proxy.bed.taskcluster.root_url();
    assert!(
        body.starts_with(&format!("{root_url}/api/queue/v1/ping?bewit=")),
        "{body}"
    );
}

#[tokio::test]
async fn nothing_is_signed_after_the_run() {
    let proxy = ClaimedProxy::new(&[]).await;
    let ClaimedProxy {
        controller,
        handler,
        run,
        ..
    } = proxy;
    drop(run);
    controller.close_log().expect("a disk with room");
    controller.dispose().expect("a folder of the test");
    let request = http::Request::builder()
        .uri("/api/queue/v1/ping")
        .body(Body::empty());
    let response = handler.handle(request.expect("a valid request")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
