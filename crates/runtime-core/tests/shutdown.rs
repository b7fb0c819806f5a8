//! Every source is heard, and what it says reaches the worker with its deadline.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{
    LifeCycleTracker, Monitor, ShutdownManager, ShutdownNotice, ShutdownSource, StopStage,
};
use tokio::sync::mpsc;

/// Says what a test tells it to.
#[derive(Debug)]
struct Told(mpsc::UnboundedReceiver<ShutdownNotice>);

#[async_trait]
impl ShutdownSource for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        self.0.recv().await
    }
}

fn told() -> (mpsc::UnboundedSender<ShutdownNotice>, Told) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Told(receiver))
}

#[tokio::test(start_paused = true)]
async fn a_later_and_more_urgent_notice_of_another_source_is_passed_on() {
    let (first, second) = (told(), told());
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
async fn a_source_is_heard_more_than_once() {
    let (sender, source) = told();
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
async fn nobody_listens_once_the_listener_is_dropped() {
    let (sender, source) = told();
    let worker = LifeCycleTracker::new();
    let listening = ShutdownManager::new(Arc::new(worker.clone()), Monitor::null())
        .source(source)
        .start();
    drop(listening);
    // Gives the task that was ended the time to be.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(sender.send(ShutdownNotice::now("too late")).is_err());
    assert_eq!(worker.stage(), StopStage::Running);
}
