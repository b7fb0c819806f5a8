//! The loop that claims tasks and runs them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use runtime_core::{LifeCycleTracker, StopStage, Stoppable as _, Timestamp, render_document};
use tokio::time::{Instant, sleep, sleep_until};

use super::claim_poller::ClaimPoller;
use super::running_tasks::RunningTasks;
use crate::foreign_call::foreign_call;
use crate::payload::PayloadSchema;
use crate::shared::WorkerShared;

/// The time that a worker which was full waits after the end of a task, so that one request fills all places that become
/// free together. A request costs a tenth of a task that does nothing.
const CLAIM_DELAY: Duration = Duration::from_millis(5);

/// The time limit of [`Engine::containment`](crate::Engine::containment), for which a person waits.
const CONTAINMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Claims tasks from one queue and runs up to `capacity` of them concurrently.
pub struct Worker {
    pub(super) shared: Arc<WorkerShared>,
    pub(super) poller: ClaimPoller,
    pub(super) capacity: usize,
    pub(super) max_tasks: Option<u64>,
}

impl Worker {
    /// Returns the schema of payloads that this worker accepts.
    #[must_use]
    pub fn payload_schema(&self) -> &PayloadSchema {
        &self.shared.schema
    }

    /// Renders the documentation for authors of tasks as Markdown: the sections of engine and plugins, and the payload
    /// schema.
    #[must_use]
    pub fn documentation(&self, title: &str) -> String {
        let engine = self.shared.engine.documentation();
        let plugins = self.shared.plugins.iter();
        let mut sections: Vec<_> = engine
            .into_iter()
            .chain(plugins.flat_map(|plugin| plugin.documentation()))
            .collect();
        sections.push(self.shared.schema.documentation());
        render_document(title, &sections)
    }

    /// Returns what the engine can and cannot contain on this machine, for its operator.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn containment(&self) -> Vec<String> {
        let engine = &self.shared.engine;
        let call = engine.containment().map(Ok);
        let found = foreign_call(engine.name(), "containment", CONTAINMENT_TIMEOUT, call).await;
        found.unwrap_or_else(|error| vec![error.to_string()])
    }

    /// Claims and runs tasks until a stop is requested, or the [maximum number](crate::WorkerBuilder::max_tasks) is resolved.
    ///
    /// | stop | running tasks | returns |
    /// | --- | --- | --- |
    /// | graceful | run to their end | when all are resolved |
    /// | immediate | are killed and resolved `worker-shutdown`; then the plugins upload | when the uploads end or the time is used up |
    ///
    /// A graceful stop with a [deadline](LifeCycleTracker::time_left) becomes an immediate one
    /// [`shutdown_reserve`](crate::Timing::shutdown_reserve) before it. An immediate stop without a deadline gets one,
    /// [`shutdown_timeout`](crate::Timing::shutdown_timeout) after no claim is in flight.
    ///
    /// A claim in flight is awaited until the queue can no longer answer it with a task, which takes up to
    /// [`long_poll_timeout`](crate::Timing::long_poll_timeout). Tasks that it returns are resolved
    /// `worker-shutdown`, so that the queue runs them elsewhere. A task without retries left is run to its end
    /// after a graceful stop. While a claim is in flight, no run is given back, because the claim could return it.
    /// If the deadline is nearer than `shutdown_reserve`, runs are given back nevertheless.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: running tasks are dropped and stay claimed until their claims expire.
    pub async fn run_until(&self, stop: &LifeCycleTracker) {
        let timing = &self.shared.timing;
        let mut running = RunningTasks::default();
        let mut claim_in_flight = None;
        let mut next_claim = None;
        let mut was_full = false;
        let mut claiming_since = Timestamp::now();
        let mut logged = StopStage::Running;
        let mut remaining = self.max_tasks.unwrap_or(u64::MAX);
        self.log_start();
        self.shared.prepare_engine(stop).await;
        loop {
            let stage = stop.stage();
            // The stop is requested after the last task, since a graceful one gives back tasks that have not started.
            if remaining == 0 && running.is_empty() && stage == StopStage::Running {
                let limit = self.max_tasks.unwrap_or_default();
                let monitor = &self.shared.environment.monitor;
                monitor.info(format_args!(
                    "stopping: the limit of {limit} tasks is reached"
                ));
                stop.stop_gracefully();
                continue;
            }
            let free = self.capacity.saturating_sub(running.len());
            let free = free.min(usize::try_from(remaining).unwrap_or(usize::MAX));
            // Remembered until the next claim: once a task has ended, `free` no longer shows it.
            was_full |= free == 0;
            // One claim at a time: a second one could return more tasks than there is capacity for.
            if claim_in_flight.is_some() || free == 0 || stage != StopStage::Running {
                next_claim = None;
            } else {
                let now = Instant::now();
                // With no other task that could end soon, the delay would gain nothing.
                let is_batched = was_full && !running.is_empty();
                let delay = if is_batched {
                    CLAIM_DELAY
                } else {
                    Duration::ZERO
                };
                if *next_claim.get_or_insert(now + delay) <= now {
                    claiming_since = Timestamp::now();
                    claim_in_flight = Some(Box::pin(self.poller.claim(&self.shared, free, stop)));
                    (next_claim, was_full) = (None, false);
                }
            }
            let unanswered = self.poller.unanswered_for(timing);
            let is_quiet = claim_in_flight.is_none() && unanswered.is_none();
            if stage != StopStage::Running {
                // Without a running task nothing is given back, so no request that failed without an answer
                // can receive it again.
                if claim_in_flight.is_none() && running.is_empty() {
                    return;
                }
                if stage > logged {
                    self.log_stop(
                        running.len(),
                        unanswered.filter(|_| claim_in_flight.is_some()),
                    );
                    logged = stage;
                }
                let is_late = stage == StopStage::Now
                    && stop
                        .time_left()
                        .is_some_and(|left| left <= timing.shutdown_reserve);
                // Only now: a run that is given back earlier could be returned by the claim in flight. If there is no
                // time to wait, a task that it returns is given back as well.
                if is_quiet || is_late {
                    running.no_more_claims();
                }
                if is_quiet && stage == StopStage::Now && stop.time_left().is_none() {
                    stop.stop_within(StopStage::Now, timing.shutdown_timeout);
                }
            }
            // Not biased: a branch only wakes the loop or records an event, and the conditions
            // above are evaluated again in each pass. So the order in which ready branches are
            // taken does not matter.
            let reserve = timing.shutdown_reserve;
            tokio::select! {
                claims = poll_claim(&mut claim_in_flight) => {
                    claim_in_flight = None;
                    // Also after a stop: `RunSupervisor` gives these runs back, except those without retries.
                    remaining = remaining.saturating_sub(claims.len() as u64);
                    for claim in claims {
                        running.start(&self.shared, claim, claiming_since, stop);
                    }
                }
                () = running.reap(&self.shared), if !running.is_empty() => {}
                () = sleep_until(next_claim.unwrap_or_else(Instant::now)), if next_claim.is_some() => {}
                // The reserve is for killing tasks, reporting and uploading.
                () = stop.wait_until_remaining(reserve), if stage == StopStage::Graceful => stop.stop_now(),
                // The others wake the loop to check the conditions above.
                () = stop.wait_until_remaining(reserve), if stage == StopStage::Now && !is_quiet && !running.has_no_more_claims() => {}
                () = stop.wait_for_stage(StopStage::Graceful), if stage == StopStage::Running => {}
                () = stop.wait_for_stage(StopStage::Now), if stage == StopStage::Graceful => {}
                () = sleep(unanswered.unwrap_or_default()), if stage != StopStage::Running && claim_in_flight.is_none() && unanswered.is_some() => {}
            }
        }
    }

    /// Logs the claim and the tasks for which a stop waits.
    fn log_stop(&self, running: usize, claim: Option<Duration>) {
        let claim = claim.map(|remaining| {
            let seconds = remaining.as_secs_f64().ceil();
            format!("up to {seconds} s for the claim in flight")
        });
        let tasks = match running {
            0 => None,
            1 => Some("for 1 running task".to_owned()),
            running => Some(format!("for {running} running tasks")),
        };
        let reasons: Vec<_> = claim.into_iter().chain(tasks).collect();
        if !reasons.is_empty() {
            let monitor = &self.shared.environment.monitor;
            monitor.info(format_args!("stopping: waiting {}", reasons.join(" and ")));
        }
    }

    /// Logs the claimed queue and the worker's identity. A wrong queue name is a common reason for a lack of tasks.
    fn log_start(&self) {
        let environment = &self.shared.environment;
        let identity = &environment.identity;
        environment.monitor.info(format_args!(
            "claiming from `{}` at {} as `{}/{}`, up to {} tasks at a time",
            identity.task_queue_id,
            identity.root_url,
            identity.worker_group,
            identity.worker_id,
            self.capacity,
        ));
    }
}

/// Waits for the claim in flight, or forever without one. Keeps the claim when it is dropped: the loop polls it again
/// in its next iteration.
async fn poll_claim<F: Future + Unpin>(claim: &mut Option<F>) -> F::Output {
    match claim {
        Some(claim) => claim.await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("identity", &self.shared.environment.identity)
            .finish_non_exhaustive()
    }
}
