//! Incidents are delivered in the background.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::Monitor;
use runtime_monitoring::{
    Delivery, Incident, IncidentQueue, IncidentTransport, LoggingMonitor, Metrics, RecentIncidents,
    Reporters,
};
use tokio::sync::mpsc;

use crate::support::{Failure, redactor};

fn monitor(reporters: &Reporters) -> Monitor {
    LoggingMonitor::new()
        .with_tags([("region", "eu")])
        .with_reporters(reporters.clone())
        .with_redactor(redactor("hunter2"))
        .into_monitor()
}

/// Returns the given results and records the delivered contexts.
struct ScriptedTransport {
    results: VecDeque<Delivery>,
    seen: mpsc::UnboundedSender<String>,
    /// Whether the next delivery never ends.
    hangs: bool,
}

#[async_trait]
impl IncidentTransport for ScriptedTransport {
    async fn deliver(&mut self, incident: &Incident) -> Delivery {
        // The test may have ended.
        let _ = self.seen.send(incident.context.clone());
        assert_ne!(incident.context, "panic", "as the test wants");
        if std::mem::take(&mut self.hangs) {
            std::future::pending::<()>().await;
        }
        self.results.pop_front().unwrap_or(Delivery::Delivered)
    }
}

fn transport(results: &[Delivery]) -> (ScriptedTransport, mpsc::UnboundedReceiver<String>) {
    let (seen, receiver) = mpsc::unbounded_channel();
    let results = results.iter().copied().collect();
    let hangs = false;
    (
        ScriptedTransport {
            results,
            seen,
            hangs,
        },
        receiver,
    )
}

#[test]
fn incident_has_causes_and_redacted_tags() {
    let (reporters, recent) = (Reporters::default(), RecentIncidents::new());
    reporters.add(Arc::new(recent.clone()));
    let monitor = monitor(&reporters).with_prefix("upload");
    let error = Failure(std::io::Error::other("hunter2 is wrong"));
    let id = monitor
        .with_tag("taskId", "a1")
        .report_warning(&error, "used hunter2");
    let incident = &recent.list()[0];
    assert_eq!(incident.id, id);
    assert_eq!(incident.context, "used [REDACTED]");
    let errors = incident.errors.iter();
    let errors: Vec<_> = errors
        .map(|cause| (&*cause.kind, &*cause.message))
        .collect();
    assert_eq!(
        errors,
        [
            ("Failure", "cannot upload the log"),
            ("Custom", "[REDACTED] is wrong")
        ]
    );
    assert_eq!(incident.prefix, "upload");
    assert_eq!(
        (&*incident.tags["region"], &*incident.tags["taskId"]),
        ("eu", "a1")
    );
}

#[test]
fn long_text_is_truncated() {
    let (reporters, recent) = (Reporters::default(), RecentIncidents::new());
    reporters.add(Arc::new(recent.clone()));
    monitor(&reporters).report_error(&Failure::new(), "ö".repeat(100_000));
    let context = &recent.list()[0].context;
    assert!(context.len() < 5_000 && context.ends_with(" [truncated]"));
}

#[test]
fn recent_incidents_are_bounded() {
    let (reporters, recent) = (Reporters::default(), RecentIncidents::new());
    reporters.add(Arc::new(recent.clone()));
    for number in 0..120 {
        monitor(&reporters).report_error(&Failure::new(), number);
    }
    let list = recent.list();
    assert_eq!((list.len(), &*list[0].context), (50, "119"));
}

#[tokio::test(start_paused = true)]
async fn failed_delivery_is_retried() {
    let wait = Delivery::RetryAfter(Duration::from_secs(60));
    let (transport, mut seen) = transport(&[
        wait,
        Delivery::RetryAfter(Duration::ZERO),
        Delivery::Refused,
    ]);
    let (reporters, metrics) = (Reporters::default(), Metrics::new());
    let queue = IncidentQueue::start(10, transport).with_metrics(&metrics);
    reporters.add(queue.reporter());
    let monitor = monitor(&reporters);
    let start = tokio::time::Instant::now();
    monitor.report_error(&Failure::new(), "one");
    monitor.report_error(&Failure::new(), "two");
    let mut contexts = Vec::new();
    for _ in 0..4 {
        contexts.push(seen.recv().await.expect("another delivery"));
    }
    assert_eq!(contexts, ["one", "one", "one", "two"]);
    // The delay that the service asked for, and up to 2 s of backoff.
    assert!((60..=62).contains(&start.elapsed().as_secs()));
    let counts = queue.stop(Duration::from_secs(1)).await;
    assert_eq!(
        (counts.delivered, counts.refused, counts.dropped),
        (1, 1, 0)
    );
    assert_eq!(metrics.snapshot().counter("monitoring.incidents-sent"), 1);
}

#[tokio::test(start_paused = true)]
async fn full_queue_drops_and_counts() {
    let (transport, _seen) = transport(&vec![Delivery::RetryAfter(Duration::ZERO); 100]);
    let (reporters, metrics) = (Reporters::default(), Metrics::new());
    let queue = IncidentQueue::start(3, transport).with_metrics(&metrics);
    reporters.add(queue.reporter());
    for _ in 0..10 {
        monitor(&reporters).report_error(&Failure::new(), "again");
    }
    let counts = queue.counts();
    assert_eq!((counts.waiting, counts.dropped), (3, 7));
    // The service accepts none, so the time limit expires.
    let counts = queue.stop(Duration::from_secs(5)).await;
    assert_eq!((counts.waiting, counts.dropped), (0, 10));
    assert_eq!(
        metrics.snapshot().counter("monitoring.incidents-dropped"),
        10
    );
}

#[tokio::test(start_paused = true)]
async fn stop_delivers_waiting_incidents() {
    let (transport, mut seen) = transport(&[]);
    let reporters = Reporters::default();
    let queue = IncidentQueue::start(10, transport);
    reporters.add(queue.reporter());
    for number in 0..5 {
        monitor(&reporters).report_error(&Failure::new(), number);
    }
    let counts = queue.stop(Duration::from_secs(5)).await;
    assert_eq!((counts.delivered, counts.dropped), (5, 0));
    let mut contexts = Vec::new();
    while let Ok(context) = seen.try_recv() {
        contexts.push(context);
    }
    assert_eq!(contexts, ["0", "1", "2", "3", "4"]);
    // Incidents after the stop are counted as dropped.
    monitor(&reporters).report_error(&Failure::new(), "late");
}

#[tokio::test(start_paused = true)]
async fn broken_transport_loses_only_its_incident() {
    let (mut transport, mut seen) = transport(&[]);
    transport.hangs = true;
    let reporters = Reporters::default();
    let queue = IncidentQueue::start(10, transport);
    reporters.add(queue.reporter());
    for context in ["hang", "panic", "next"] {
        monitor(&reporters).report_error(&Failure::new(), context);
    }
    for expected in ["hang", "hang", "panic", "next"] {
        assert_eq!(seen.recv().await.as_deref(), Some(expected));
    }
    let counts = queue.stop(Duration::from_secs(5)).await;
    assert_eq!((counts.delivered, counts.refused), (2, 1));
}
