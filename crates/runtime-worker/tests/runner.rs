//! The protocol with worker-runner, word by word.

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

/// The side of worker-runner.
struct Peer {
    to_worker: DuplexStream,
    from_worker: tokio::io::Lines<BufReader<DuplexStream>>,
}

impl Peer {
    async fn say(&mut self, line: &str) {
        self.to_worker
            .write_all(format!("{line}\n").as_bytes())
            .await
            .expect("the worker reads");
    }

    async fn hear(&mut self) -> Value {
        let line = soon(self.from_worker.next_line()).await;
        let line = line.expect("it is text").expect("the worker speaks");
        serde_json::from_str(line.strip_prefix('~').expect("a message")).expect("it is JSON")
    }
}

/// Waits for what has to come. Time is paused where no other thread takes part, and then what does not come is a
/// failure at once.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(Duration::from_secs(60), work).await;
    ended.expect("it comes")
}

fn connect() -> (
    Peer,
    worker_runner::WorkerRunner,
    worker_runner::Termination,
    Arc<CredentialsCell>,
) {
    let (to_worker, input) = duplex(4096);
    let (output, from_worker) = duplex(4096);
    let cell = Arc::new(CredentialsCell::new(None));
    let (runner, termination) =
        worker_runner::connect(BufReader::new(input), output, Arc::clone(&cell));
    let from_worker = BufReader::new(from_worker).lines();
    let peer = Peer {
        to_worker,
        from_worker,
    };
    (peer, runner, termination, cell)
}

#[tokio::test(start_paused = true)]
async fn a_welcome_is_answered_with_what_both_can_do() {
    let (mut peer, runner, _termination, _) = connect();
    assert!(!runner.log("too early"), "nothing is agreed on yet");
    peer.say(r#"~{"type":"welcome","capabilities":["graceful-termination","log","levitate"]}"#)
        .await;
    assert_eq!(
        peer.hear().await,
        json!({ "type": "hello", "capabilities": ["graceful-termination", "log"] })
    );
    assert!(soon(runner.welcomed()).await);
    assert!(runner.log("up\nand \"running\""));
    assert_eq!(
        peer.hear().await,
        json!({ "type": "log", "body": { "textPayload": "up\nand \"running\"" } })
    );
    assert!(!runner.shutdown(), "worker-runner did not say that it can");
}

#[tokio::test(start_paused = true)]
async fn everything_that_can_be_said_is_said_in_the_words_of_the_protocol() {
    let (mut peer, runner, _termination, _) = connect();
    peer.say(r#"~{"type":"welcome","capabilities":["error-report","shutdown"]}"#)
        .await;
    peer.hear().await;
    soon(runner.welcomed()).await;
    let report = ErrorReport {
        kind: "worker-error".to_owned(),
        title: "it broke".to_owned(),
        description: "all of it".to_owned(),
        extra: json!({ "screws": 7 }),
    };
    assert!(runner.report_error(report) && runner.shutdown());
    assert_eq!(
        peer.hear().await,
        json!({
            "type": "error-report", "kind": "worker-error", "title": "it broke",
            "description": "all of it", "extra": { "screws": 7 },
        })
    );
    assert_eq!(peer.hear().await, json!({ "type": "shutdown" }));
}

#[tokio::test]
async fn the_log_waits_for_the_welcome_and_goes_out_between_messages() {
    let (mut peer, runner, _termination, _) = connect();
    let builder = LogBuilder::new(LogConfig::default());
    let builder = builder.writer(LineFormat::WorkerProto, runner.log_lines());
    let (dispatch, log) = builder.build().expect("a thread");
    let monitor = LoggingMonitor::new().into_monitor();
    tracing::dispatcher::with_default(&dispatch, || monitor.info("before the welcome"));
    // The conversation is under way by then.
    tokio::task::yield_now().await;
    peer.say(r#"~{"type":"welcome","capabilities":["log","shutdown"]}"#)
        .await;
    assert_eq!(peer.hear().await["type"], "hello");
    let line = peer.hear().await;
    assert_eq!(line["type"], "log");
    assert_eq!(line["body"]["textPayload"], "before the welcome");
    tracing::dispatcher::with_default(&dispatch, || monitor.info("between"));
    let flushed = soon(tokio::task::spawn_blocking(move || log.flush())).await;
    assert!(flushed.expect("it does not panic") && runner.shutdown() && soon(runner.flush()).await);
    assert_eq!(peer.hear().await["body"]["textPayload"], "between");
    assert_eq!(peer.hear().await["type"], "shutdown");
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_until_all_that_was_said_is_written() {
    let (mut peer, runner, _termination, _) = connect();
    peer.say(r#"~{"type":"welcome","capabilities":["log"]}"#)
        .await;
    peer.hear().await;
    soon(runner.welcomed()).await;
    // More than fits into the pipe.
    let lines = 0..100;
    for _ in lines.clone() {
        assert!(runner.log(&"x".repeat(100)));
    }
    let mut flush = std::pin::pin!(runner.flush());
    let early = tokio::time::timeout(Duration::from_secs(1), &mut flush);
    assert!(early.await.is_err(), "nobody has read it");
    let hear = async {
        for _ in lines {
            peer.hear().await;
        }
    };
    let (is_flushed, ()) = tokio::join!(soon(flush), hear);
    assert!(is_flushed);
}

#[tokio::test]
async fn a_log_that_worker_runner_does_not_take_is_an_error_to_who_writes_it() {
    let (mut peer, runner, _termination, _) = connect();
    let mut lines = runner.log_lines();
    let write = tokio::task::spawn_blocking(move || lines.write(b"~{}\n"));
    peer.say(r#"~{"type":"welcome","capabilities":["shutdown"]}"#)
        .await;
    let error = soon(write).await.expect("it does not panic");
    let error = error.expect_err("nobody takes it");
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(peer.hear().await["type"], "hello");
    assert!(runner.shutdown(), "the conversation goes on");
    assert_eq!(peer.hear().await["type"], "shutdown");
}

#[tokio::test]
async fn who_writes_a_log_waits_until_it_is_written() {
    let (mut peer, runner, _termination, _) = connect();
    let mut lines = runner.log_lines();
    peer.say(r#"~{"type":"welcome","capabilities":["log"]}"#)
        .await;
    assert_eq!(peer.hear().await["type"], "hello");
    // More than fits into the pipe.
    let line = ToRunner::Log {
        body: json!({ "textPayload": "x".repeat(10_000) }),
    };
    let write = move || lines.write_all(line.to_line().as_bytes());
    let mut write = tokio::task::spawn_blocking(write);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut write);
    assert!(early.await.is_err(), "nobody has read it");
    assert_eq!(peer.hear().await["type"], "log");
    let written = soon(write).await.expect("it does not panic");
    written.expect("it is written");
}

#[tokio::test(start_paused = true)]
async fn the_conversation_ends_with_the_last_who_takes_part() {
    let (mut peer, runner, termination, _) = connect();
    drop(runner);
    peer.say(r#"~{"type":"welcome","capabilities":["log"]}"#)
        .await;
    assert_eq!(peer.hear().await["type"], "hello");
    drop(termination);
    let next = soon(peer.from_worker.next_line()).await;
    assert_eq!(next.expect("it is text"), None);
}

#[tokio::test(start_paused = true)]
async fn terminations_are_notices_and_text_between_messages_is_none() {
    let (mut peer, runner, mut termination, _) = connect();
    drop(runner);
    peer.say("some text").await;
    peer.say("~not json").await;
    peer.say(r#"~{"type":"of-the-future","x":1}"#).await;
    peer.say(r#"~{"type":"graceful-termination","finish-tasks":true}"#)
        .await;
    peer.say(r#"~{"type":"graceful-termination","finish-tasks":false}"#)
        .await;
    let mut stage = async || soon(termination.next()).await.map(|notice| notice.stage);
    assert_eq!(stage().await, Some(StopStage::Graceful));
    assert_eq!(stage().await, Some(StopStage::Now));
}

#[tokio::test(start_paused = true)]
async fn new_credentials_are_used_from_then_on_and_never_shown() {
    let (mut peer, _runner, _termination, cell) = connect();
    let mut credentials = cell.watch();
    peer.say(
        r#"~{"type":"new-credentials","client-id":"me","access-token":"hush","certificate":"{}"}"#,
    )
    .await;
    assert!(soon(credentials.changed()).await);
    let new = credentials.snapshot().expect("there are some");
    assert_eq!(new.client_id, "me");
    assert_eq!(new.access_token.expose_secret(), "hush");
    assert_eq!(
        new.certificate.map(|it| it.expose_secret().to_owned()),
        Some("{}".to_owned())
    );
    let Line::Message(message) =
        parse_line(r#"~{"type":"new-credentials","client-id":"me","access-token":"hush"}"#)
    else {
        panic!("it is a message");
    };
    assert!(!format!("{message:?}").contains("hush"));
}

#[tokio::test(start_paused = true)]
async fn worker_runner_that_goes_away_ends_nothing_but_the_conversation() {
    let (peer, runner, mut termination, _) = connect();
    drop(peer);
    assert_eq!(soon(termination.next()).await, None);
    assert!(!soon(runner.welcomed()).await);
    assert!(!runner.log("into the void"));
}

proptest! {
    #[test]
    fn no_line_breaks_the_parser(line in ".*") {
        let _ = parse_line(&line);
    }

    #[test]
    fn whatever_is_logged_stays_one_line(text in "(?s).*") {
        let line = ToRunner::Log { body: json!({ "textPayload": text }) }.to_line();
        prop_assert_eq!(line.matches('\n').count(), 1);
        let json: Value = serde_json::from_str(&line[1..]).expect("it is JSON");
        prop_assert_eq!(json["body"]["textPayload"].as_str(), Some(&*text));
    }

    #[test]
    fn text_without_a_tilde_is_text(text in "[^~\r\n][^\r\n]*") {
        prop_assert!(matches!(parse_line(&text), Line::Text(same) if same == text));
    }

    #[test]
    fn capabilities_survive_the_way(names in proptest::collection::vec("[a-z-]{1,20}", 0..5)) {
        let line = format!("~{}\n", json!({ "type": "welcome", "capabilities": names }));
        let Line::Message(FromRunner::Welcome { capabilities }) = parse_line(&line) else {
            return Err(TestCaseError::fail("it is a welcome"));
        };
        prop_assert_eq!(capabilities, names);
    }
}
