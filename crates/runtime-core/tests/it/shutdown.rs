//! Notices from sources to the worker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{
    LifeCycleTracker, Monitor, ShutdownManager, ShutdownNotice, ShutdownSource, StopStage,
};
use tokio::sync::mpsc;

use crate::monitor::{Sink, pair};

/// A source that returns the notices of a channel.
#[derive(Debug)]
struct ChannelSource(mpsc::UnboundedReceiver<ShutdownNotice>);

#[async_trait]
impl ShutdownSource for ChannelSource {
    fn name(&self) -> &'static str {
        "told"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        self.0.recv().await
    }
}

fn source_with_sender() -> (mpsc::UnboundedSender<ShutdownNotice>, ChannelSource) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, ChannelSource(receiver))
}

#[tokio::test(start_paused = true)]
async fn more_urgent_notice_is_forwarded() {
    let (first, second) = (source_with_sender(), source_with_sender());
    let worker = LifeCycleTracker::new();
    let _listening = ShutdownManager::new(Arc::new(worker.clone()), Monitor::null())
        .source(first.1)
        .source(second.1)
        .start();
    first
        .0
        .send(ShutdownNotice::graceful("idle"))
        .expect("somebody listens");
    worker.wait_for_stage(StopStage::Graceful).await;
    assert_eq!(worker.time_left(), None);
    let spot = ShutdownNotice::now("the instance is reclaimed").within(Duration::from_secs(120));
    second.0.send(spot).expect("somebody listens");
    worker.wait_for_stage(StopStage::Now).await;
    assert_eq!(worker.time_left(), Some(Duration::from_secs(120)));
}

#[tokio::test]
async fn source_can_send_several_notices() {
    let (sender, source) = source_with_sender();
    let worker = LifeCycleTracker::new();
    let _listening = ShutdownManager::new(Arc::new(worker.clone()), Monitor::null())
        .source(source)
        .start();
    for notice in [
        ShutdownNotice::graceful("idle"),
        ShutdownNotice::now("hurry"),
    ] {
        let stage = notice.stage;
        sender.send(notice).expect("somebody listens");
        worker.wait_for_stage(stage).await;
        assert_eq!(worker.stage(), stage);
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_listener_stops_listening() {
    let (sender, source) = source_with_sender();
    let worker = LifeCycleTracker::new();
    let listening = ShutdownManager::new(Arc::new(worker.clone()), Monitor::null())
        .source(source)
        .start();
    drop(listening);
    // Lets the aborted task end.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(sender.send(ShutdownNotice::now("too late")).is_err());
    assert_eq!(worker.stage(), StopStage::Running);
}

/// A source that panics.
#[derive(Debug)]
struct BrokenSource;

#[async_trait]
impl ShutdownSource for BrokenSource {
    fn name(&self) -> &'static str {
        "broken"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        panic!("no notice")
    }
}

#[tokio::test(start_paused = true)]
async fn panic_of_a_source_is_reported() {
    let (monitor, sink) = pair(Sink::default());
    let (sender, source) = source_with_sender();
    let worker = LifeCycleTracker::new();
    let _listening = ShutdownManager::new(Arc::new(worker.clone()), monitor)
        .source(BrokenSource)
        .source(source)
        .start();
    let notice = ShutdownNotice::graceful("idle");
    sender.send(notice).expect("somebody listens");
    worker.wait_for_stage(StopStage::Graceful).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reports = sink.reports.lock();
    assert!(
        reports.len() == 1 && reports[0].contains("broken"),
        "{reports:?}"
    );
}
