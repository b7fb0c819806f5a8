//! The context of a task and its controller.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use runtime_core::artifact::{Artifact, ArtifactBody, ErrorArtifact};
use runtime_core::log::OutputLimit;
use runtime_core::queue::ArtifactErrorReason;
use runtime_core::{
    Credentials, ExceptionReason, LogOptions, Run, Services, StopReason, TaskContext,
    TaskContextController, TaskId, TaskInfo,
};
use tempfile::{TempDir, tempdir};
use tokio::io::AsyncReadExt as _;

fn info() -> TaskInfo {
    let definition = serde_json::json!({
        "taskQueueId": "demo/linux", "created": "2026-01-01T00:00:00Z", "deadline": "2026-01-02T00:00:00Z",
        "payload": {}, "scopes": ["secrets:get:a/*"],
        "metadata": {"name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com"},
    });
    let definition = serde_json::from_value(definition).expect("a valid definition");
    TaskInfo::new(
        Run {
            task_id: TaskId::random(),
            run_id: 0,
        },
        definition,
    )
}

fn create(folder: &Path) -> (TaskContext, TaskContextController) {
    TaskContext::create(&folder.join("task.log"), info()).expect("a log in the folder")
}

fn folder() -> TempDir {
    tempdir().expect("a folder for the test")
}

#[tokio::test]
async fn readers_follow_the_log_to_its_end() {
    let folder = folder();
    let (context, controller) = create(folder.path());
    let mut reader = context.new_log_reader();
    let follower = tokio::spawn(async move {
        let mut text = String::new();
        reader.read_to_string(&mut text).await.map(|_| text)
    });
    context
        .log_drain()
        .write_all(b"output\n")
        .expect("the log takes it");
    context.log_error("it broke");
    controller.close_log().expect("nothing failed");

    let text = follower
        .await
        .expect("the follower ends")
        .expect("the log is whole");
    assert_eq!(text, "output\n[taskcluster:error] it broke\n");
}

fn text_of(controller: &TaskContextController, context: &TaskContext) -> String {
    controller.close_log().expect("nothing failed");
    let log = context.extract_log().expect("it is closed");
    std::io::read_to_string(log).expect("it reads")
}

#[test]
fn log_contains_no_secrets() {
    let folder = folder();
    let (context, controller) = create(folder.path());
    let credentials = Credentials::new("client", "access-token").with_certificate("certificate");
    controller.set_credentials(credentials);
    context
        .redactor()
        .add("hunter22")
        .expect("it is long enough");
    context
        .log_drain()
        .write_all(b"access-token, certificate\n")
        .expect("the log takes it");
    context.log_error("cannot log in with hunter22");
    assert_eq!(
        text_of(&controller, &context),
        "[REDACTED], [REDACTED]\n[taskcluster:error] cannot log in with [REDACTED]\n"
    );
}

#[test]
fn certificate_seed_and_signature_are_secret() {
    let folder = folder();
    let (context, controller) = create(folder.path());
    let certificate = r#"{"version":1,"scopes":["a:b"],"start":1,"expiry":2,"seed":"the-seed","signature":"the-signature"}"#;
    controller
        .set_credentials(Credentials::new("client", "access-token").with_certificate(certificate));
    context
        .log_drain()
        .write_all(certificate.as_bytes())
        .expect("the log takes it");
    let text = text_of(&controller, &context);
    assert!(text.contains("a:b") && !text.contains("the-s"), "{text}");
}

#[test]
fn worker_lines_bypass_the_output_limit() {
    let folder = folder();
    let options = LogOptions {
        output_limit: OutputLimit::new(12, 6).with_notice(|_| "...".to_owned()),
        ..LogOptions::default()
    };
    let (context, controller) =
        TaskContext::create_with(&folder.path().join("task.log"), info(), options)
            .expect("a log in the folder");
    let mut drain = context.log_drain();
    for line in [b"line1\n", b"line2\n", b"line3\n"] {
        drain.write_all(line).expect("the log takes it");
    }
    context.log_error("it is too much");
    drop(drain);
    assert_eq!(
        text_of(&controller, &context),
        "line1\n[taskcluster:error] it is too much\n...\nline3\n"
    );
}

#[test]
fn empty_and_padded_messages_are_logged() {
    let folder = folder();
    let (context, controller) = create(folder.path());
    context.log("");
    context.log("padded  ");
    let text = text_of(&controller, &context);
    let lines: Vec<_> = text
        .split_inclusive('\n')
        .map(|line| line.split_once(']').expect("a prefix"))
        .collect();
    assert!(
        lines
            .iter()
            .all(|(prefix, _)| prefix.starts_with("[taskcluster 2")),
        "{text}"
    );
    assert!(
        lines
            .iter()
            .map(|(_, message)| *message)
            .eq([" \n", " padded  \n"]),
        "{text}"
    );
}

#[test]
fn create_empties_the_log_of_before() {
    let folder = folder();
    std::fs::write(folder.path().join("task.log"), "an earlier run").expect("a file");
    let (context, controller) = create(folder.path());
    assert_eq!(text_of(&controller, &context), "");
}

#[test]
fn worker_line_starts_on_a_new_line() {
    let folder = folder();
    let (context, controller) = create(folder.path());
    context
        .log_drain()
        .write_all(b"57 %")
        .expect("the log takes it");
    context.log_error("out of time");
    assert_eq!(
        text_of(&controller, &context),
        "57 %\n[taskcluster:error] out of time\n"
    );
}

#[tokio::test]
async fn closed_log_can_be_extracted() {
    let folder = folder();
    let (context, controller) = create(folder.path());
    context
        .log_drain()
        .write_all(b"output\n")
        .expect("the log takes it");
    context.extract_log().expect_err("it is still open");
    controller.close_log().expect("nothing failed");

    let mut text = String::new();
    context
        .extract_log()
        .expect("it is closed")
        .read_to_string(&mut text)
        .expect("it reads");
    assert_eq!(text, "output\n");
}

#[tokio::test]
async fn dispose_removes_the_log() {
    let folder = folder();
    let (context, controller) = create(folder.path());
    context.log("hello");
    controller.close_log().expect("nothing failed");
    controller.dispose().expect("the file goes");
    assert_eq!(
        std::fs::read_dir(folder.path())
            .expect("the folder is there")
            .count(),
        0
    );
}

#[test]
fn the_first_stop_reason_wins() {
    let folder = folder();
    let (context, controller) = create(folder.path());
    assert!(controller.abort());
    assert!(!controller.cancel(), "it is stopped already");
    assert!(context.is_aborted() && !context.is_cancelled());
    assert_eq!(context.stop_reason(), Some(StopReason::WorkerShutdown));
}

#[test]
fn only_a_cancellation_is_cancelled() {
    for (reason, is_cancelled, is_aborted) in [
        (StopReason::Cancelled, true, false),
        (StopReason::ClaimLost, false, false),
        (StopReason::DeadlineExceeded, false, false),
        (StopReason::WorkerShutdown, false, true),
    ] {
        let folder = folder();
        let (context, controller) = create(folder.path());
        assert!(!context.is_cancelled() && !context.is_aborted());
        assert!(controller.stop(reason));
        assert_eq!(context.is_cancelled(), is_cancelled, "{reason}");
        assert_eq!(context.is_aborted(), is_aborted, "{reason}");
    }
}

#[test]
fn only_a_shutdown_is_reported_by_the_worker() {
    assert_eq!(
        StopReason::WorkerShutdown.to_report(),
        Some(ExceptionReason::WorkerShutdown)
    );
    for reason in [
        StopReason::Cancelled,
        StopReason::ClaimLost,
        StopReason::DeadlineExceeded,
    ] {
        assert_eq!(reason.to_report(), None, "{reason}");
    }
}

#[tokio::test]
async fn stop_wakes_all_waiters() {
    let folder = folder();
    let (context, controller) = create(folder.path());
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let context = context.clone();
            tokio::spawn(async move { context.stopped().await })
        })
        .collect();
    tokio::task::yield_now().await;
    controller.cancel();
    for waiter in waiters {
        assert_eq!(
            waiter.await.expect("the waiter ends"),
            StopReason::Cancelled
        );
    }
    assert_eq!(
        context.stopped().await,
        StopReason::Cancelled,
        "also who comes late"
    );
}

#[tokio::test]
async fn watch_returns_new_credentials() {
    let folder = folder();
    let (_context, controller) = create(folder.path());
    let mut watch = controller.credentials();
    assert!(watch.snapshot().is_none());
    controller.set_credentials(Credentials::new("client", "token"));
    assert!(watch.changed().await);
    assert_eq!(watch.snapshot().expect("they are set").client_id, "client");
}

#[test]
fn refused_credentials_are_reported_to_the_controller() {
    let folder = folder();
    let (_context, controller) = create(folder.path());
    let heard = || controller.credentials_refused().now_or_never();
    assert_eq!(heard(), None);
    controller.credentials().report_refused();
    assert_eq!(heard(), Some(()));
    assert_eq!(heard(), None, "a complaint is heard once");
}

#[test]
fn last_services_win() {
    let folder = folder();
    let (context, controller) = create(folder.path());
    let services = Services::disconnected();
    controller.set_services(services.clone());
    assert!(Arc::ptr_eq(&context.queue(), &services.queue));
    assert!(Arc::ptr_eq(
        &context.services().uploader,
        &services.uploader
    ));
}

#[test]
fn expiry_defaults_to_a_year_after_deadline() {
    let mut info = info();
    assert_eq!(info.expires.to_string(), "2027-01-02T00:00:00Z");
    let said = "2026-02-01T00:00:00Z".parse().expect("a valid timestamp");
    info.definition.expires = Some(said);
    assert_eq!(TaskInfo::new(info.run, info.definition).expires, said);
}

#[tokio::test]
async fn disconnected_services_return_errors() {
    let folder = folder();
    let (context, _controller) = create(folder.path());
    let body = ErrorArtifact {
        reason: ArtifactErrorReason::FileMissing,
        message: "none".to_owned(),
    };
    let artifact = Artifact {
        name: "public/a".to_owned(),
        expires: None,
        content: ArtifactBody::Error(body),
    };
    let error = context
        .upload(&artifact)
        .await
        .expect_err("there is no deployment");
    assert!(
        runtime_core::error_chain(&error).contains("not connected to a deployment"),
        "{error:?}"
    );
}

#[test]
fn scopes_match_the_definition() {
    let folder = folder();
    let (context, _controller) = create(folder.path());
    assert!(context.has_scopes([["secrets:get:a/b", "secrets:get:a/*"]]));
    assert!(!context.has_scopes([["secrets:get:a/b", "queue:anything"]]));
}

#[test]
fn one_scope_set_is_enough() {
    let folder = folder();
    let (context, _controller) = create(folder.path());
    assert!(context.has_scopes([&["queue:a", "queue:b"][..], &["secrets:get:a/b"]]));
    assert!(!context.has_scopes([["queue:a"], ["queue:b"]]));
    assert!(context.has_scopes::<&str, _>([[]]), "an empty set");
    assert!(!context.has_scopes::<&str, [&str; 0]>([]), "no set");
}

#[tokio::test]
async fn short_spooled_log_has_no_file() {
    let folder = folder();
    let path = folder.path().join("task.log");
    std::fs::write(&path, "of another owner").expect("a file");
    let (context, controller) = TaskContext::spooled(&path, info(), LogOptions::default());
    context.log("a line");
    controller.close_log().expect("it needs no disk");
    let bytes = context.followed_log().in_memory().expect("it is short");
    assert!(bytes.ends_with(b"] a line\n"));
    controller.dispose().expect("there is nothing to remove");
    assert!(path.exists());
}

/// The log is a link to `/dev/full`.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn full_disk_is_reported_on_close_and_read() {
    let folder = folder();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("task.log")).expect("a link");
    let (context, controller) = create(folder.path());
    context.log("this does not fit");

    let error = controller.close_log().expect_err("the disk is full");
    assert!(
        runtime_core::error_chain(&error).contains("No space left"),
        "{error:?}"
    );
    let mut text = String::new();
    let read = context.new_log_reader().read_to_string(&mut text).await;
    read.expect_err("the end of the log is missing");
    context
        .extract_log()
        .expect_err("so it cannot pass for the whole");
}
