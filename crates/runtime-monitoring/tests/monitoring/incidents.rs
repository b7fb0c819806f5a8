//! Incidents go to whoever wants to hear of them, and nobody waits for it.

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

/// Answers as it is told, and tells of what it was given.
struct Service {
    answers: Vec<Delivery>,
    seen: mpsc::UnboundedSender<String>,
}

#[async_trait]
impl IncidentTransport for Service {
    async fn deliver(&mut self, incident: &Incident) -> Delivery {
        // Nobody may listen any more.
        let _ = self.seen.send(incident.context.clone());
        match self.answers.is_empty() {
            true => Delivery::Delivered,
            false => self.answers.remove(0),
        }
    }
}

fn service(answers: &[Delivery]) -> (Service, mpsc::UnboundedReceiver<String>) {
    let (seen, receiver) = mpsc::unbounded_channel();
    let answers = answers.to_vec();
    (Service { answers, seen }, receiver)
}

#[test]
fn an_incident_has_its_chain_its_tags_and_no_secrets() {
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
fn a_long_text_is_cut() {
    let (reporters, recent) = (Reporters::default(), RecentIncidents::new());
    reporters.add(Arc::new(recent.clone()));
    monitor(&reporters).report_error(&Failure::new(), "ö".repeat(100_000));
    let context = &recent.list()[0].context;
    assert!(context.len() < 5_000 && context.ends_with(" [truncated]"));
}

#[test]
fn only_the_last_incidents_are_kept() {
    let (reporters, recent) = (Reporters::default(), RecentIncidents::new());
    reporters.add(Arc::new(recent.clone()));
    for number in 0..120 {
        monitor(&reporters).report_error(&Failure::new(), number);
    }
    let list = recent.list();
    assert_eq!((list.len(), &*list[0].context), (50, "119"));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_fails_is_tried_again_until_it_works() {
    let wait = Delivery::RetryAfter(Duration::from_secs(60));
    let (service, mut seen) = service(&[
        wait,
        Delivery::RetryAfter(Duration::ZERO),
        Delivery::Refused,
    ]);
    let (reporters, metrics) = (Reporters::default(), Metrics::new());
    let forwarder = IncidentQueue::start(10, service).with_metrics(&metrics);
    reporters.add(forwarder.reporter());
    let monitor = monitor(&reporters);
    let start = tokio::time::Instant::now();
    monitor.report_error(&Failure::new(), "one");
    monitor.report_error(&Failure::new(), "two");
    let mut contexts = Vec::new();
    for _ in 0..4 {
        contexts.push(seen.recv().await.expect("it goes on"));
    }
    assert_eq!(contexts, ["one", "one", "one", "two"]);
    // The delay that the service asked for, and up to 2 s of backoff.
    assert!((60..=62).contains(&start.elapsed().as_secs()));
    let counts = forwarder.stop(Duration::from_secs(1)).await;
    assert_eq!(
        (counts.delivered, counts.refused, counts.dropped),
        (1, 1, 0)
    );
    assert_eq!(metrics.snapshot().counter("monitoring.incidents-sent"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_finds_the_queue_full_is_dropped_and_counted() {
    let (service, _seen) = service(&vec![Delivery::RetryAfter(Duration::ZERO); 100]);
    let (reporters, metrics) = (Reporters::default(), Metrics::new());
    let forwarder = IncidentQueue::start(3, service).with_metrics(&metrics);
    reporters.add(forwarder.reporter());
    for _ in 0..10 {
        monitor(&reporters).report_error(&Failure::new(), "again");
    }
    let counts = forwarder.counts();
    assert_eq!((counts.waiting, counts.dropped), (3, 7));
    // The service never takes any, and the time to stop runs out.
    let counts = forwarder.stop(Duration::from_secs(5)).await;
    assert_eq!((counts.waiting, counts.dropped), (0, 10));
    assert_eq!(
        metrics.snapshot().counter("monitoring.incidents-dropped"),
        10
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_delivered_before_the_end() {
    let (service, mut seen) = service(&[]);
    let reporters = Reporters::default();
    let forwarder = IncidentQueue::start(10, service);
    reporters.add(forwarder.reporter());
    for number in 0..5 {
        monitor(&reporters).report_error(&Failure::new(), number);
    }
    let counts = forwarder.stop(Duration::from_secs(5)).await;
    assert_eq!((counts.delivered, counts.dropped), (5, 0));
    let mut contexts = Vec::new();
    while let Ok(context) = seen.try_recv() {
        contexts.push(context);
    }
    assert_eq!(contexts, ["0", "1", "2", "3", "4"]);
    // Nobody delivers what comes now, which is counted too.
    monitor(&reporters).report_error(&Failure::new(), "late");
}
