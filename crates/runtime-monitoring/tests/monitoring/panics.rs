//! Panics become incidents.

use std::sync::Arc;

use runtime_core::Monitor;
use runtime_monitoring::{LoggingMonitor, RecentIncidents, Reporters};

fn monitor() -> (Monitor, RecentIncidents) {
    let (reporters, recent) = (Reporters::default(), RecentIncidents::new());
    reporters.add(Arc::new(recent.clone()));
    let monitor = LoggingMonitor::new().with_reporters(reporters);
    (monitor.into_monitor(), recent)
}

#[test]
fn panic_is_reported_and_returned() {
    let (monitor, recent) = monitor();
    let number = 7;
    let panicked = monitor.capture_panic("in a plugin", || -> u32 { panic!("number {number}") });
    let panicked = panicked.expect_err("it panicked");
    assert_eq!(panicked.message, "number 7");
    let incident = &recent.list()[0];
    assert_eq!(incident.id, panicked.incident);
    assert_eq!(incident.to_string(), "in a plugin: panicked: number 7");
}

#[test]
fn value_is_returned_without_a_panic() {
    let (monitor, recent) = monitor();
    assert_eq!(monitor.capture_panic("in a plugin", || 7), Ok(7));
    assert!(recent.list().is_empty());
}

#[tokio::test]
async fn panic_after_await_is_reported() {
    let (monitor, recent) = monitor();
    let work = async {
        tokio::task::yield_now().await;
        std::panic::panic_any(5_u8)
    };
    let panicked = monitor
        .capture_panic_async::<()>("in an engine", work)
        .await;
    let panicked = panicked.expect_err("it panicked");
    assert_eq!(panicked.message, "no message");
    assert_eq!(recent.list()[0].id, panicked.incident);
}
