//! Mock monitor, mock queue, mock clock and test task.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ContentEncoding, ErrorArtifact,
    S3Artifact, UploadError,
};
use runtime_core::clock::Clock as _;
use runtime_core::monitor::{Level, Severity};
use runtime_core::queue::ArtifactErrorReason;
use runtime_core::{
    ApiError, Credentials, ExceptionReason, RequestAuthorizer, Run, ScopeSet, ServiceError,
    SignError, StopReason, TaskId,
};
use runtime_mocks::{MockClock, MockMonitor, MockQueue, TestTask};
use serde_json::{Value, json};

fn run() -> Run {
    Run {
        task_id: TaskId::random(),
        run_id: 0,
    }
}

fn not_found() -> ApiError {
    ApiError::Service(ServiceError::new(
        "queue.status",
        404,
        "ResourceNotFound",
        "none",
    ))
}

fn s3(source: ArtifactSource) -> Artifact {
    let content_type = "text/plain".to_owned();
    let content = S3Artifact {
        content_type,
        encoding: ContentEncoding::Auto,
        headers: ArtifactHeaders::new(),
        source,
    };
    Artifact {
        name: "public/a".to_owned(),
        expires: None,
        content: ArtifactBody::S3(content),
    }
}

#[test]
fn monitor_records_its_children() {
    let (monitor, mock) = MockMonitor::new();
    let child = monitor
        .with_prefix("fetch")
        .with_prefix("url")
        .with_tag("task", "t1");
    child.count("tries", 2);
    child.count("tries", 1);
    monitor.measure("size", 1.5);
    monitor.count_f64("cost", 1.25);
    child.warn("slow");
    child.report_error(&std::io::Error::other("disk"), "writing");

    assert_eq!(mock.counter("fetch.url.tries"), 3);
    assert!(!mock.has_counter("tries") && mock.has_measure("size"));
    assert_eq!(mock.values("size"), [1.5]);
    assert_eq!((mock.counter_f64("cost"), mock.counter("cost")), (1.25, 1));
    assert_eq!(mock.counter_f64("unused"), 0.0);
    assert!(mock.has_line("slow"));
    let line = &mock.lines()[0];
    assert_eq!(
        (line.level, &*line.prefix, &*line.tags["task"]),
        (Level::WARN, "fetch.url", "t1")
    );
    let report = &mock.reports()[0];
    assert_eq!(
        (report.severity, &*report.context, &*report.error),
        (Severity::Error, "writing", "disk")
    );
}

#[test]
fn panicking_monitor_panics_on_errors() {
    let (monitor, mock) = MockMonitor::panicking();
    monitor.warn("fine");
    monitor.report_warning(&std::io::Error::other("fine"), "fine");
    let error = std::io::Error::other("disk");
    let reported = catch_unwind(AssertUnwindSafe(|| monitor.report_error(&error, "writing")));
    assert!(reported.is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| monitor.error("bad"))).is_err());
    assert_eq!(
        mock.reports().len(),
        2,
        "the report that panicked is recorded"
    );
}

#[tokio::test]
async fn advance_wakes_sleepers() {
    let clock = MockClock::new();
    let later = clock.now() + Duration::from_secs(3600);
    let waiting = clock.clone();
    let waiting = tokio::spawn(async move { waiting.sleep_until(later).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    clock.advance(Duration::from_secs(3600));
    waiting.await.unwrap();
    assert!(clock.now() >= later);
}

#[tokio::test]
async fn calls_return_scripted_results() {
    let (services, mock) = MockQueue::new();
    mock.expect_status(Err(not_found()));
    mock.expect_find_task("a.b", Err(not_found()));
    mock.expect_start_download("an/object", Err(not_found()));
    let task_id = TaskId::random();
    assert!(
        services
            .queue
            .status(&task_id)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        services
            .index
            .find_task("a.b")
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        services
            .objects
            .start_download("an/object", None)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert_eq!(
        mock.calls(),
        [
            format!("queue.status({})", task_id.as_str()),
            "index.findTask(a.b)".to_owned(),
            "object.startDownload(an/object)".to_owned()
        ]
    );
    mock.done();
}

#[tokio::test]
async fn unexpected_call_panics() {
    let (services, mock) = MockQueue::new();
    mock.expect_report_exception(ExceptionReason::InternalError, Err(not_found()));
    let wrong = tokio::spawn(async move {
        services
            .queue
            .report_exception(&run(), ExceptionReason::MalformedPayload)
            .await
    });
    let panic = wrong.await.unwrap_err().into_panic();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("malformed-payload") && message.contains("internal-error"),
        "{message}"
    );
}

#[test]
fn missing_call_panics_on_drop() {
    let dropped = catch_unwind(|| {
        let (_services, mock) = MockQueue::new();
        mock.expect_report_completed(Err(not_found()));
    });
    let message = dropped.unwrap_err();
    assert!(
        message
            .downcast_ref::<String>()
            .unwrap()
            .contains("queue.reportCompleted")
    );
}

#[tokio::test]
async fn upload_is_received_with_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, "from a file").unwrap();
    for source in [
        ArtifactSource::stream(std::fs::File::open(&path).unwrap()),
        ArtifactSource::File(path),
    ] {
        let (services, mock) = MockQueue::new();
        let expected = mock.expect_s3_artifact("public/a");
        let task = TestTask::new(json!({})).with_services(services);
        let uploaded = task.context().upload(&s3(source)).await.unwrap();
        assert_eq!(uploaded.bytes, 11);
        assert_eq!(expected.received().await.bytes, b"from a file");
    }
}

#[tokio::test]
async fn missing_file_is_a_read_error() {
    let (services, mock) = MockQueue::new();
    let _first = mock.expect_s3_artifact("public/a");
    let second = mock.expect_error_artifact("public/a");
    let task = TestTask::new(json!({})).with_services(services);
    let missing = s3(ArtifactSource::File("/nonexistent/file".into()));
    let error = task.context().upload(&missing).await.unwrap_err();
    assert!(matches!(error, UploadError::Read { .. }));
    let instead = ErrorArtifact {
        reason: ArtifactErrorReason::FileMissing,
        message: "no such file".to_owned(),
    };
    let instead = Artifact {
        content: ArtifactBody::Error(instead),
        ..missing
    };
    task.context().upload(&instead).await.unwrap();
    assert!(second.received().await.bytes.is_empty());
}

#[tokio::test]
async fn test_task_has_scopes_log_and_controller() {
    let task = TestTask::with_scopes(json!({ "k": 1 }), &["a:*"]);
    assert!(task.context().has_scopes([["a:b"]]));
    assert_eq!(task.context().info().definition.payload["k"], 1);
    task.context().log_error("it failed");
    assert_eq!(task.log(), "[taskcluster:error] it failed\n");
    task.controller().stop(StopReason::Cancelled);
    assert!(task.context().is_cancelled());
}

fn signed(authorizer: &dyn RequestAuthorizer, url: &str) -> Value {
    let payload = Some(("text/plain", &b"body"[..]));
    let header = authorizer.sign_header(&http::Method::PUT, url, payload);
    let header = header.expect("a valid URL");
    let json = header.to_str().expect("text").strip_prefix("Mock ");
    serde_json::from_str(json.expect("the scheme")).expect("JSON")
}

#[test]
fn mock_signature_lists_the_signed_values() {
    let task = TestTask::new(json!({}));
    let authorizer = task.context().authorizer();
    let url = "https://tc.example.com/a?b=c";
    let expected = json!({
        "clientId": "mock", "method": "PUT", "url": url, "contentType": "text/plain",
    });
    assert_eq!(signed(&*authorizer, url), expected);
    let signed_url = authorizer.sign_url(url, Duration::from_secs(1));
    let signed_url = signed_url.expect("a valid URL");
    assert_eq!(signed_url.expose(), format!("{url}&bewit=mock"));
    for invalid in ["", "tc.example.com", "https://tc.example.com/a b"] {
        let header = authorizer.sign_header(&http::Method::GET, invalid, None);
        assert!(matches!(header, Err(SignError::Url(_))), "{invalid}");
    }
}

#[test]
fn mock_authorizer_follows_credentials_and_scopes() {
    let task = TestTask::new(json!({}));
    let limited = task
        .context()
        .authorizer()
        .with_authorized_scopes(&ScopeSet::new(["a", "b"]))
        .with_authorized_scopes(&ScopeSet::new(["b", "c"]));
    let url = "https://tc.example.com/";
    for client_id in ["before", "after"] {
        let credentials = Credentials::new(client_id, "a-long-secret");
        task.controller().set_credentials(credentials);
        let signed = signed(&*limited, url);
        assert_eq!(signed["clientId"], client_id);
        assert_eq!(signed["authorizedScopes"], json!(["b"]));
    }
}

#[test]
fn mock_queue_has_an_authorizer() {
    let (services, mock) = MockQueue::new();
    assert_eq!(
        signed(&*services.authorizer, "https://tc.example.com/")["clientId"],
        "mock"
    );
    mock.done();
}
