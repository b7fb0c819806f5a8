//! Sentry envelopes, parsed by Sentry's own library.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use parking_lot::Mutex;
use runtime_core::clock::Clock;
use runtime_core::{BoxError, Monitor, Secret, Timestamp};
use runtime_monitoring::{
    Dsn, DsnSource, IncidentQueue, LoggingMonitor, Reporters, SentryConfig, StartPushError,
    report_to_sentry,
};
use sentry_core::Envelope;
use sentry_core::protocol::{Event, Level};

use crate::service::{Received, Service};
use tokio::io::AsyncWriteExt as _;

use crate::support::Failure;

/// A clock that tests set.
#[derive(Clone, Debug)]
struct HandClock(Arc<Mutex<Timestamp>>);

impl HandClock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Timestamp::UNIX_EPOCH)))
    }

    fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock();
        *now += by;
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }

    async fn sleep_until(&self, _: Timestamp) {
        std::future::pending().await
    }
}

/// Provides DSNs with a new key each, which expire after an hour.
struct Keys {
    clock: HandClock,
    port: u16,
    given: AtomicU64,
}

#[async_trait]
impl DsnSource for Keys {
    async fn dsn(&self, project: Option<&str>) -> Result<Dsn, BoxError> {
        assert_eq!(project, Some("my-worker"));
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            return Err("not yet".into());
        }
        Ok(Dsn {
            dsn: Secret::new(format!(
                "http://key{number}:secret@127.0.0.1:{}/42",
                self.port
            )),
            expires: Some(self.clock.now() + SignedDuration::from_hours(1)),
        })
    }
}

fn config(port: u16) -> SentryConfig {
    let dsn = format!("http://key:secret@127.0.0.1:{port}/sub/42");
    SentryConfig {
        dsn: Some(Secret::new(dsn)),
        environment: Some("test".to_owned()),
        release: Some("worker@1.0".to_owned()),
        ..SentryConfig::default()
    }
}

fn monitor(queue: &IncidentQueue) -> Monitor {
    let reporters = Reporters::default();
    reporters.add(queue.reporter());
    let monitor = LoggingMonitor::new().with_reporters(reporters);
    monitor.with_tags([("workerId", "i-1")]).into_monitor()
}

fn event(received: &Received) -> Event<'static> {
    let envelope = Envelope::from_slice(&received.body).expect("an envelope");
    envelope.event().expect("with an event").clone()
}

#[tokio::test]
async fn event_has_incident_id_causes_and_tags() {
    let mut service = Service::start(&[]).await;
    let sentry = report_to_sentry(&config(service.port), None, Arc::new(HandClock::new()));
    let sentry = sentry.expect("a valid configuration");
    let task = monitor(&sentry)
        .with_prefix("upload")
        .with_tag("taskId", "a1");
    let id = task.report_error(&Failure::new(), "the task ended");
    let received = service.next().await;
    assert_eq!(received.path, "/sub/api/42/envelope/");
    let auth = &received.headers["x-sentry-auth"];
    assert!(auth.contains("sentry_key=key"), "{auth}");
    let event = event(&received);
    assert_eq!(event.event_id.to_string(), id.to_string());
    assert_eq!(event.level, Level::Error);
    assert_eq!(event.message.as_deref(), Some("the task ended"));
    assert_eq!(event.culprit.as_deref(), Some("upload"));
    let causes: Vec<_> = event
        .exception
        .iter()
        .map(|it| (it.ty.as_str(), it.value.as_deref().expect("a text")))
        .collect();
    let expected = [
        ("Custom", "connection reset"),
        ("Failure", "cannot upload the log"),
    ];
    assert_eq!(causes, expected);
    assert_eq!(event.tags["taskId"], "a1");
    assert_eq!(event.tags["workerId"], "i-1");
    assert_eq!(event.tags["incident"], id.to_string());
    assert_eq!(event.environment.as_deref(), Some("test"));
    assert_eq!(event.release.as_deref(), Some("worker@1.0"));
    let counts = sentry.stop(Duration::from_secs(5)).await;
    assert_eq!((counts.delivered, counts.dropped), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn busy_service_is_retried_and_rejection_is_final() {
    let answers = [
        "503 Busy",
        "429 Slow down\r\nretry-after: 120",
        "200 OK",
        "400 Bad",
    ];
    let mut service = Service::start(&answers).await;
    let sentry = report_to_sentry(&config(service.port), None, Arc::new(HandClock::new()));
    let sentry = sentry.expect("a valid configuration");
    let monitor = monitor(&sentry);
    let mut told = Vec::new();
    for context in ["one", "two", "three"] {
        told.push(monitor.report_warning(&Failure::new(), context).to_string());
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(event(&service.next().await).event_id.to_string());
    }
    let expected = [0, 0, 0, 1, 2].map(|index: usize| told[index].clone());
    assert_eq!(seen, expected);
    let counts = sentry.stop(Duration::from_secs(5)).await;
    assert_eq!((counts.delivered, counts.refused), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn dsn_is_renewed_before_expiry_and_after_rejection() {
    let answers = ["200 OK", "200 OK", "200 OK", "403 Forbidden"];
    let mut service = Service::start(&answers).await;
    let clock = HandClock::new();
    let source = Arc::new(Keys {
        clock: clock.clone(),
        port: service.port,
        given: AtomicU64::new(0),
    });
    let config = SentryConfig {
        project: Some("my-worker".to_owned()),
        ..SentryConfig::default()
    };
    let sentry = report_to_sentry(&config, Some(source), Arc::new(clock.clone()));
    let sentry = sentry.expect("a valid configuration");
    let monitor = monitor(&sentry);
    let mut keys = Vec::new();
    for minutes in [0, 45, 10] {
        clock.advance(SignedDuration::from_mins(minutes));
        monitor.report_error(&Failure::new(), "again");
        keys.push(key(&service.next().await));
    }
    // The fourth is rejected with the key of the third and retried with a new one.
    monitor.report_error(&Failure::new(), "again");
    keys.push(key(&service.next().await));
    keys.push(key(&service.next().await));
    assert_eq!(keys, ["key1", "key1", "key2", "key2", "key3"]);
}

fn key(received: &Received) -> String {
    let auth = &received.headers["x-sentry-auth"];
    let (_, key) = auth.split_once("sentry_key=").expect("a key");
    key.split(',').next().expect("a text").to_owned()
}

#[tokio::test]
async fn invalid_dsn_is_rejected_without_revealing_it() {
    let clock: Arc<dyn Clock> = Arc::new(HandClock::new());
    let error = report_to_sentry(&SentryConfig::default(), None, Arc::clone(&clock));
    let error = error.map(drop).expect_err("there is no DSN");
    assert!(matches!(error, StartPushError::NoDsn), "{error}");
    let config = SentryConfig {
        dsn: Some(Secret::new("http://hunter2")),
        ..SentryConfig::default()
    };
    let error = report_to_sentry(&config, None, clock);
    let error = error.map(drop).expect_err("it is no DSN");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(!format!("{config:?}").contains("hunter2"));
    let json = serde_json::to_string(&config).expect("JSON");
    assert!(!json.contains("hunter2"), "{json}");
}

#[tokio::test]
async fn failed_tls_is_final() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    // A server without TLS.
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // The client may have gone.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let mut config = config(port);
    config.dsn = Some(Secret::new(format!(
        "https://key:secret@127.0.0.1:{port}/42"
    )));
    let sentry = report_to_sentry(&config, None, Arc::new(HandClock::new()));
    let sentry = sentry.expect("a valid configuration");
    monitor(&sentry).report_error(&Failure::new(), "one");
    let counts = sentry.stop(Duration::from_secs(60)).await;
    assert_eq!((counts.refused, counts.dropped), (1, 0));
    server.abort();
}
