//! Commands that are stopped.

use std::time::Duration;

use runtime_process::KillSequence;
use runtime_worker::Timing;

use crate::support::{TestBed, is_running, sh, unique_seconds, wait_until};

#[tokio::test]
async fn stop_sends_interrupt_then_terminate() {
    for bed in TestBed::each().await {
        let script = "trap 'echo interrupted' INT; trap 'echo terminated; exit 0' TERM; echo > started; while true; do sleep 0.01; done";
        let task_id = bed.create(sh(script));
        // Enough time for both signals before `SIGKILL`.
        let sequence = KillSequence::new(Duration::from_millis(100), Duration::from_secs(300));
        let mut timing = Timing::default();
        timing.cancel_poll_interval = Duration::from_millis(50);
        timing.kill_timeout = Duration::from_secs(600);
        let worker = bed.worker_with(bed.engine().kill_sequence(sequence));
        let running = bed.start(worker.timing(timing));
        bed.wait_for_task_file("started").await;
        bed.cancel(&task_id);
        running.stop().await;
        let log = bed.log(&task_id).await;
        let heard = ["interrupted", "terminated"];
        let lines = log.lines().filter(|line| heard.contains(line));
        assert!(lines.eq(heard), "{log}");
    }
}

#[tokio::test]
async fn task_that_ignores_sigterm_is_killed() {
    for bed in TestBed::each().await {
        let seconds = unique_seconds();
        let script = format!("trap '' TERM; echo > started; exec sleep {seconds}");
        let task_id = bed.create(sh(&script));
        let running = bed.start(bed.worker());
        bed.wait_for_task_file("started").await;
        bed.cancel(&task_id);
        running.stop().await;
        // The kernel ends a killed process when it gets a CPU, which may be later than the report.
        wait_until(|| !is_running(&seconds)).await;
    }
}
