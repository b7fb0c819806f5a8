//! The worker-runner protocol.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use runtime_core::{CredentialsCell, ShutdownSource as _, StopStage};
use runtime_monitoring::{LineFormat, LogBuilder, LogConfig, LoggingMonitor};
use runtime_worker::worker_runner::{self, ErrorReport, FromRunner, Line, ToRunner, parse_line};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex};

/// The other end of the connection.
struct FakeRunner {
    to_worker: DuplexStream,
    from_worker: tokio::io::Lines<BufReader<DuplexStream>>,
}

impl FakeRunner {
    async fn send(&mut self, line: &str) {
        self.to_worker
            .write_all(format!("{line}\n").as_bytes())
            .await
            .expect("write a line");
    }

    async fn receive(&mut self) -> Value {
        let line = with_timeout(self.from_worker.next_line()).await;
        let line = line.expect("read a line").expect("an open connection");
        serde_json::from_str(line.strip_prefix('~').expect("a message")).expect("JSON")
    }
}

/// Fails a test that hangs. With paused time the timeout elapses at once.
async fn with_timeout<T>(work: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(Duration::from_secs(60), work).await;
    result.expect("no timeout")
}

fn connect() -> (
    FakeRunner,
    worker_runner::WorkerRunner,
    worker_runner::RunnerShutdownSource,
    Arc<CredentialsCell>,
) {
    let (to_worker, input) = duplex(4096);
    let (output, from_worker) = duplex(4096);
    let cell = Arc::new(CredentialsCell::new(None));
    let (runner, termination) =
        worker_runner::connect(BufReader::new(input), output, Arc::clone(&cell));
    let from_worker = BufReader::new(from_worker).lines();
    let peer = FakeRunner {
        to_worker,
        from_worker,
    };
    (peer, runner, termination, cell)
}

#[tokio::test(start_paused = true)]
async fn hello_lists_the_common_capabilities() {
    let (mut peer, runner, _termination, _) = connect();
    assert!(!runner.log("too early"), "before the welcome");
    peer.send(r#"~{"type":"welcome","capabilities":["graceful-termination","log","levitate"]}"#)
        .await;
    assert_eq!(
        peer.receive().await,
        json!({ "type": "hello", "capabilities": ["graceful-termination", "log"] })
    );
    assert!(with_timeout(runner.welcomed()).await);
    assert!(runner.log("up\nand \"running\""));
    assert_eq!(
        peer.receive().await,
        json!({ "type": "log", "body": { "textPayload": "up\nand \"running\"" } })
    );
    assert!(!runner.shutdown(), "worker-runner lacks the capability");
}

#[tokio::test(start_paused = true)]
async fn error_report_and_shutdown_follow_the_protocol() {
    let (mut peer, runner, _termination, _) = connect();
    peer.send(r#"~{"type":"welcome","capabilities":["error-report","shutdown"]}"#)
        .await;
    peer.receive().await;
    with_timeout(runner.welcomed()).await;
    let report = ErrorReport {
        kind: "worker-error".to_owned(),
        title: "it broke".to_owned(),
        description: "all of it".to_owned(),
        extra: json!({ "screws": 7 }),
    };
    assert!(runner.report_error(report) && runner.shutdown());
    assert_eq!(
        peer.receive().await,
        json!({
            "type": "error-report", "kind": "worker-error", "title": "it broke",
            "description": "all of it", "extra": { "screws": 7 },
        })
    );
    assert_eq!(peer.receive().await, json!({ "type": "shutdown" }));
}

#[tokio::test]
async fn log_is_written_after_the_welcome_in_order() {
    let (mut peer, runner, _termination, _) = connect();
    let builder = LogBuilder::new(LogConfig::default());
    let builder = builder.writer(LineFormat::WorkerProto, runner.log_lines());
    let (dispatch, log) = builder.build().expect("start the log thread");
    let monitor = LoggingMonitor::new().into_monitor();
    tracing::dispatcher::with_default(&dispatch, || monitor.info("before the welcome"));
    // Lets the connection poll the log before the welcome.
    tokio::task::yield_now().await;
    peer.send(r#"~{"type":"welcome","capabilities":["log","shutdown"]}"#)
        .await;
    assert_eq!(peer.receive().await["type"], "hello");
    let line = peer.receive().await;
    assert_eq!(line["type"], "log");
    assert_eq!(line["body"]["textPayload"], "before the welcome");
    tracing::dispatcher::with_default(&dispatch, || monitor.info("between"));
    let flushed = with_timeout(tokio::task::spawn_blocking(move || log.flush())).await;
    assert!(flushed.expect("no panic") && runner.shutdown() && with_timeout(runner.flush()).await);
    assert_eq!(peer.receive().await["body"]["textPayload"], "between");
    assert_eq!(peer.receive().await["type"], "shutdown");
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_all_messages() {
    let (mut peer, runner, _termination, _) = connect();
    peer.send(r#"~{"type":"welcome","capabilities":["log"]}"#)
        .await;
    peer.receive().await;
    with_timeout(runner.welcomed()).await;
    // More than the pipe buffers.
    let lines = 0..100;
    for _ in lines.clone() {
        assert!(runner.log(&"x".repeat(100)));
    }
    let mut flush = std::pin::pin!(runner.flush());
    let early = tokio::time::timeout(Duration::from_secs(1), &mut flush);
    assert!(early.await.is_err(), "the peer has not read it");
    let receive_all = async {
        for _ in lines {
            peer.receive().await;
        }
    };
    let (is_flushed, ()) = tokio::join!(with_timeout(flush), receive_all);
    assert!(is_flushed);
}

#[tokio::test]
async fn log_write_fails_without_the_capability() {
    let (mut peer, runner, _termination, _) = connect();
    let mut lines = runner.log_lines();
    let write = tokio::task::spawn_blocking(move || lines.write(b"~{}\n"));
    peer.send(r#"~{"type":"welcome","capabilities":["shutdown"]}"#)
        .await;
    let error = with_timeout(write).await.expect("no panic");
    let error = error.expect_err("logs are not accepted");
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(peer.receive().await["type"], "hello");
    assert!(runner.shutdown(), "the connection is still open");
    assert_eq!(peer.receive().await["type"], "shutdown");
}

#[tokio::test]
async fn log_write_blocks_until_written() {
    let (mut peer, runner, _termination, _) = connect();
    let mut lines = runner.log_lines();
    peer.send(r#"~{"type":"welcome","capabilities":["log"]}"#)
        .await;
    assert_eq!(peer.receive().await["type"], "hello");
    // More than the pipe buffers.
    let line = ToRunner::Log {
        body: json!({ "textPayload": "x".repeat(10_000) }),
    };
    let write = move || lines.write_all(line.to_line().as_bytes());
    let mut write = tokio::task::spawn_blocking(write);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut write);
    assert!(early.await.is_err(), "the peer has not read it");
    assert_eq!(peer.receive().await["type"], "log");
    let written = with_timeout(write).await.expect("no panic");
    written.expect("write");
}

#[tokio::test(start_paused = true)]
async fn connection_closes_after_the_last_clone() {
    let (mut peer, runner, termination, _) = connect();
    drop(runner);
    peer.send(r#"~{"type":"welcome","capabilities":["log"]}"#)
        .await;
    assert_eq!(peer.receive().await["type"], "hello");
    drop(termination);
    let next = with_timeout(peer.from_worker.next_line()).await;
    assert_eq!(next.expect("read a line"), None);
}

#[tokio::test(start_paused = true)]
async fn termination_messages_become_notices() {
    let (mut peer, runner, mut termination, _) = connect();
    drop(runner);
    peer.send("some text").await;
    peer.send("~not json").await;
    peer.send(r#"~{"type":"of-the-future","x":1}"#).await;
    peer.send(r#"~{"type":"graceful-termination","finish-tasks":true}"#)
        .await;
    peer.send(r#"~{"type":"graceful-termination","finish-tasks":false}"#)
        .await;
    let mut stage = async || {
        with_timeout(termination.next())
            .await
            .map(|notice| notice.stage)
    };
    assert_eq!(stage().await, Some(StopStage::Graceful));
    assert_eq!(stage().await, Some(StopStage::Now));
}

#[tokio::test(start_paused = true)]
async fn new_credentials_replace_the_old() {
    let (mut peer, _runner, _termination, cell) = connect();
    let mut credentials = cell.watch();
    peer.send(
        r#"~{"type":"new-credentials","client-id":"me","access-token":"hush","certificate":"{}"}"#,
    )
    .await;
    assert!(with_timeout(credentials.changed()).await);
    let new = credentials.snapshot().expect("credentials");
    assert_eq!(new.client_id, "me");
    assert_eq!(new.access_token.expose_secret(), "hush");
    assert_eq!(
        new.certificate.map(|it| it.expose_secret().to_owned()),
        Some("{}".to_owned())
    );
}

#[test]
fn debug_output_omits_credentials() {
    let Line::Message(message) =
        parse_line(r#"~{"type":"new-credentials","client-id":"me","access-token":"hush"}"#)
    else {
        panic!("not a message");
    };
    assert!(!format!("{message:?}").contains("hush"));
}

#[tokio::test(start_paused = true)]
async fn closed_connection_sends_no_termination() {
    let (peer, runner, mut termination, _) = connect();
    drop(peer);
    assert_eq!(with_timeout(termination.next()).await, None);
    assert!(!with_timeout(runner.welcomed()).await);
    assert!(!runner.log("too late"));
}

proptest! {
    #[test]
    fn parser_accepts_any_line(line in ".*") {
        let _ = parse_line(&line);
    }

    #[test]
    fn log_message_is_one_line(text in "(?s).*") {
        let line = ToRunner::Log { body: json!({ "textPayload": text }) }.to_line();
        prop_assert_eq!(line.matches('\n').count(), 1);
        let json: Value = serde_json::from_str(&line[1..]).expect("JSON");
        prop_assert_eq!(json["body"]["textPayload"].as_str(), Some(&*text));
    }

    #[test]
    fn line_without_tilde_is_text(text in "[^~\r\n][^\r\n]*") {
        prop_assert!(matches!(parse_line(&text), Line::Text(same) if same == text));
    }

    #[test]
    fn capabilities_are_parsed(names in proptest::collection::vec("[a-z-]{1,20}", 0..5)) {
        let line = format!("~{}\n", json!({ "type": "welcome", "capabilities": names }));
        let Line::Message(FromRunner::Welcome { capabilities }) = parse_line(&line) else {
            return Err(TestCaseError::fail("not a welcome"));
        };
        prop_assert_eq!(capabilities, names);
    }
}
