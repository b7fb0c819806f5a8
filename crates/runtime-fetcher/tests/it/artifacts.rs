//! Artifacts by task and by index.

use runtime_core::error_chain;
use runtime_fetcher::{Combine, FetchContext, FetchError, Fetcher, HttpClient};
use serde_json::{Value, json};

use crate::support::{FakeServices, Server, Step, config, get_reference};

const TASK: &str = "RmzTkg-8Qj614ea9fI9Jmg";

fn context(fake: &FakeServices) -> FetchContext {
    FetchContext::new(
        HttpClient::new(config()).expect("configuration is valid"),
        fake.services(),
    )
}

async fn with_artifact(content: Value) -> FakeServices {
    let mut fake = FakeServices::new();
    fake.artifacts.insert("public/a".into(), content);
    fake
}

fn artifact() -> Value {
    json!({ "taskId": TASK, "artifact": "public/a" })
}

async fn failure(fake: &FakeServices, reference: Value) -> FetchError {
    let context = context(fake);
    match Combine::standard().resolve(&context, &reference).await {
        Err(error) => error,
        Ok(_) => get_reference(&context, reference)
            .await
            .expect_err("fetch fails"),
    }
}

#[tokio::test]
async fn s3_and_reference_artifacts_are_fetched() {
    let server =
        Server::start(|request| Step::answer("200 OK", &[], request.path.as_bytes())).await;
    for kind in ["s3", "reference"] {
        let content = json!({ "storageType": kind, "url": server.url("/bucket?signature=x") });
        let fake = with_artifact(content).await;
        let bytes = get_reference(&context(&fake), artifact())
            .await
            .expect("fetch succeeds");
        assert_eq!(bytes, "/bucket?signature=x");
    }
}

#[tokio::test]
async fn every_attempt_requests_a_fresh_url() {
    let server = Server::start(|request| match request.number {
        0 => Step::answer("500 Oops", &[], b""),
        _ => Step::answer("200 OK", &[], b"hello"),
    })
    .await;
    let mut fake = with_artifact(json!({ "storageType": "s3", "url": server.url("/") })).await;
    fake.runs = 4;
    get_reference(&context(&fake), artifact())
        .await
        .expect("second attempt succeeds");
    assert_eq!(
        *fake.asked.lock().expect("lock is not poisoned"),
        [Some(3), Some(3)],
        "the latest run, both times"
    );
}

#[tokio::test]
async fn error_artifact_reports_its_message() {
    let content = json!({
        "storageType": "error", "reason": "file-missing-on-worker", "message": "no such file: out.tar",
    });
    let error = failure(&with_artifact(content).await, artifact()).await;
    assert!(error.is_broken_reference());
    let text = error_chain(&error);
    assert!(
        text.contains("file-missing-on-worker") && text.contains("no such file: out.tar"),
        "{text}"
    );
}

#[tokio::test]
async fn unknown_storage_type_is_a_broken_reference() {
    let fake = with_artifact(json!({ "storageType": "hologram", "angle": 3 })).await;
    let error = failure(&fake, artifact()).await;
    assert!(error.is_broken_reference(), "{error:?}");
    let text = error_chain(&error);
    assert!(text.contains("unsupported storage type"), "{text}");
}

#[tokio::test]
async fn missing_artifact_is_a_broken_reference() {
    let error = failure(&FakeServices::new(), artifact()).await;
    assert!(error.is_broken_reference(), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("artifact `public/a` of task RmzTkg-8Qj614ea9fI9Jmg/0"),
        "{error}"
    );
}

#[tokio::test]
async fn task_without_run_is_a_broken_reference() {
    let mut fake = FakeServices::new();
    fake.runs = 0;
    let error = failure(&fake, artifact()).await;
    assert!(error.is_broken_reference());
    assert!(error_chain(&error).contains("no run yet"));
}

#[tokio::test]
async fn unknown_namespace_is_a_broken_reference() {
    let reference = json!({ "namespace": "no.such.name", "artifact": "public/a" });
    let error = failure(&FakeServices::new(), reference).await;
    assert!(error.is_broken_reference());
    assert!(error.to_string().contains("`no.such.name`"), "{error}");
}

#[tokio::test]
async fn index_reference_fetches_the_artifact() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"indexed")).await;
    let mut fake = with_artifact(json!({ "storageType": "s3", "url": server.url("/") })).await;
    fake.indexed
        .insert("a.b.c".into(), TASK.parse().expect("task id is valid"));
    let reference = json!({ "namespace": "a.b.c", "artifact": "public/a" });
    assert_eq!(
        get_reference(&context(&fake), reference)
            .await
            .expect("fetch succeeds"),
        "indexed"
    );
}

#[tokio::test]
async fn missing_deployment_is_an_internal_error() {
    let context = crate::support::context();
    let error = Combine::standard()
        .resolve(&context, &artifact())
        .await
        .expect_err("nothing listens");
    assert!(
        !error.is_broken_reference() && !error.is_transient(),
        "{error:?}"
    );
    assert_eq!(
        error.exception_reason(),
        runtime_core::ExceptionReason::InternalError
    );
}

fn object(hashes: Value) -> Value {
    json!({
        "storageType": "object", "name": "t/x/0/public/a", "hashes": hashes,
        "credentials": { "clientId": "c", "accessToken": "t" },
    })
}

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

async fn fetch_object(
    hashes: Value,
    reference: Value,
    steps: Vec<Step>,
) -> Result<bytes::Bytes, FetchError> {
    let server = Server::start(move |_| steps.clone()).await;
    fetch_object_from(&server, hashes, reference).await
}

async fn fetch_object_from(
    server: &Server,
    hashes: Value,
    reference: Value,
) -> Result<bytes::Bytes, FetchError> {
    let mut fake = with_artifact(object(json!({}))).await;
    let download =
        json!({ "url": server.url("/"), "expires": "2099-01-01T00:00:00Z", "hashes": hashes });
    fake.objects.insert("t/x/0/public/a".into(), download);
    get_reference(&context(&fake), reference).await
}

#[tokio::test]
async fn object_artifact_is_fetched() {
    let hello = Step::answer("200 OK", &[], b"hello");
    let bytes = fetch_object(json!({ "sha256": HELLO }), artifact(), hello).await;
    assert_eq!(bytes.expect("hash matches"), "hello");
}

#[tokio::test]
async fn object_with_other_bytes_is_refused() {
    let other = Step::answer("200 OK", &[], b"hellO");
    let error = fetch_object(json!({ "sha256": HELLO }), artifact(), other).await;
    assert!(error.expect_err("hash differs").is_broken_reference());
}

#[tokio::test]
async fn object_without_strong_hash_is_refused() {
    for hashes in [
        json!({}),
        json!({ "md5": "5d41402abc4b2a76b9719d911017c592" }),
    ] {
        let hello = Step::answer("200 OK", &[], b"hello");
        let error = fetch_object(hashes, artifact(), hello)
            .await
            .expect_err("no strong hash");
        assert!(
            error_chain(&error).contains("neither a SHA-256 nor a SHA-512"),
            "{}",
            error_chain(&error)
        );
    }
}

#[tokio::test]
async fn object_redirects_are_not_followed() {
    let server = Server::start(|request| match request.path.as_str() {
        "/" => Step::answer("302 Found", &[("Location", "/elsewhere")], b""),
        _ => Step::answer("200 OK", &[], b"hello"),
    })
    .await;
    let error = fetch_object_from(&server, json!({ "sha256": HELLO }), artifact()).await;
    let error = error.expect_err("redirect is refused");
    assert!(error.is_broken_reference(), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn contradictory_object_hash_is_a_broken_reference() {
    let hello = Step::answer("200 OK", &[], b"hello");
    let reference = json!({ "taskId": TASK, "artifact": "public/a", "sha256": "0".repeat(64) });
    let error = fetch_object(json!({ "sha256": HELLO }), reference, hello).await;
    assert!(error.expect_err("hashes contradict").is_broken_reference());
}

#[tokio::test]
async fn object_is_fetched_and_verified() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"hello")).await;
    let mut fake = FakeServices::new();
    for (name, hash) in [
        ("project/good", HELLO.to_owned()),
        ("project/bad", "0".repeat(64)),
    ] {
        let download = json!({
            "url": server.url("/"), "expires": "2030-01-01T00:00:00Z", "hashes": { "sha256": hash },
        });
        fake.objects.insert(name.into(), download);
    }
    let context = context(&fake);
    let bytes = get_reference(&context, json!({ "object": "project/good" })).await;
    assert_eq!(bytes.expect("fetch succeeds"), "hello");
    let error = get_reference(&context, json!({ "object": "project/bad" })).await;
    assert!(error.expect_err("hash differs").is_broken_reference());
    let error = get_reference(&context, json!({ "object": "project/none" })).await;
    let error = error.expect_err("object is missing");
    assert!(error.is_broken_reference());
    assert!(
        error.to_string().contains("object `project/none`"),
        "{error}"
    );
}
