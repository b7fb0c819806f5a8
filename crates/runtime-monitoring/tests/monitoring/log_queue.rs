//! The writer thread: flushing, and lines dropped because the output is too slow.

use std::sync::mpsc;

use runtime_monitoring::{LineFormat, LogLayer, Metrics};
use tracing::Dispatch;
use tracing::dispatcher::{set_default, with_default};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{Output, capture};

const TEXT: LineFormat = LineFormat::Text { colours: false };

#[test]
fn dropping_the_layer_writes_remaining_lines() {
    let (subscriber, guard, output) = capture(TEXT);
    with_default(&subscriber, || {
        tracing::info!("before");
        drop(guard);
        tracing::info!("after");
    });
    drop(subscriber);
    let text = output.text();
    assert!(
        text.contains("before\n") && text.contains("after\n"),
        "{text}"
    );
}

/// Blocks until the sender is dropped.
struct BlockedOutput(mpsc::Receiver<()>, Output);

impl std::io::Write for BlockedOutput {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Returns immediately after the sender was dropped.
        let _ = self.0.recv();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn blocked_output_drops_lines_without_waiting() {
    let (unblock, blocked) = mpsc::channel();
    let output = Output::default();
    let (layer, guard) =
        LogLayer::new(TEXT, BlockedOutput(blocked, output.clone())).expect("a thread");
    let metrics = Metrics::new();
    let subscriber = Dispatch::new(Registry::default().with(layer.with_metrics(&metrics)));
    let _default = set_default(&subscriber);
    let line = "x".repeat(1024);
    for _ in 0..20_000 {
        tracing::info!("{line}");
    }
    let dropped = guard.dropped();
    assert!((10_000..20_000).contains(&dropped), "{dropped}");
    let counted = metrics.snapshot().counter("monitoring.log-lines-dropped");
    assert_eq!(counted, dropped);

    drop(unblock);
    assert!(guard.flush(), "the output accepts lines again");
    tracing::info!("the end");
    drop(guard);
    let text = output.text();
    assert!(text.contains(&format!(
        "{dropped} log lines dropped here: the output is too slow\n"
    )));
    assert!(text.ends_with("the end\n"));
}

#[test]
fn last_dropped_line_is_reported() {
    let (subscriber, guard, output) = capture(TEXT);
    with_default(&subscriber, || tracing::info!("{}", "x".repeat(5 << 20)));
    assert_eq!(guard.dropped(), 1);
    drop(guard);
    let text = output.text();
    assert!(
        text.ends_with(" 1 log line dropped here: the output is too slow\n"),
        "{text}"
    );
}
