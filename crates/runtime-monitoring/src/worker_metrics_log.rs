//! The `WORKER_METRICS` log lines, from which Taskcluster's log pipelines derive statistics of workers.

use std::fmt;

use runtime_core::{Monitor, Run, Timestamp, WorkerIdentity};
use serde::Serialize;

/// An event in the life of a worker or a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum WorkerEvent {
    /// The machine booted.
    InstanceBoot,
    /// The worker is ready to claim tasks.
    WorkerReady,
    /// A task was claimed. The time of the event is the time at which the task became pending.
    TaskQueued,
    /// A task started.
    TaskStart,
    /// A task was resolved.
    TaskFinish,
    /// The machine is rebooting.
    InstanceReboot,
    /// The machine is shutting down.
    InstanceShutdown,
}

/// Creates the `WORKER_METRICS` lines of a worker.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerMetricsLog {
    worker: String,
    worker_pool_id: String,
    worker_id: String,
    region: String,
    instance_type: String,
}

impl WorkerMetricsLog {
    /// Creates a log for a worker. `worker` is the name of the implementation, such as `my-worker`.
    pub fn new(
        worker: impl Into<String>,
        identity: &WorkerIdentity,
        region: impl Into<String>,
        instance_type: impl Into<String>,
    ) -> Self {
        Self {
            worker: worker.into(),
            worker_pool_id: identity.task_queue_id.clone(),
            worker_id: identity.worker_id.clone(),
            region: region.into(),
            instance_type: instance_type.into(),
        }
    }

    /// Returns the line `WORKER_METRICS {json}` of an event.
    ///
    /// ```
    /// # use runtime_core::{Timestamp, WorkerIdentity};
    /// # use runtime_monitoring::{WorkerEvent, WorkerMetricsLog};
    /// # let identity = WorkerIdentity {
    /// #     root_url: "https://tc.example.com".to_owned(),
    /// #     task_queue_id: "proj/ci".to_owned(),
    /// #     worker_group: "eu".to_owned(),
    /// #     worker_id: "i-0123".to_owned(),
    /// # };
    /// let events = WorkerMetricsLog::new("my-worker", &identity, "eu-west-1", "m5.large");
    /// let line = events.line(WorkerEvent::WorkerReady, None, Timestamp::UNIX_EPOCH);
    /// assert!(line.starts_with(r#"WORKER_METRICS {"eventType":"workerReady","timestamp":0,"#));
    /// ```
    #[must_use]
    pub fn line(&self, event: WorkerEvent, run: Option<&Run>, at: Timestamp) -> String {
        MetricsLine {
            event_type: event,
            // generic-worker writes whole seconds as well.
            timestamp: at.as_second(),
            worker: self,
            task_id: run.map(|run| run.task_id.as_str()),
            run_id: run.map(|run| run.run_id),
        }
        .to_string()
    }

    /// Logs the line of an event with level `info`.
    pub fn log(&self, monitor: &Monitor, event: WorkerEvent, run: Option<&Run>, at: Timestamp) {
        monitor.info(self.line(event, run, at));
    }
}

/// The members of the JSON object, in this order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricsLine<'a> {
    event_type: WorkerEvent,
    timestamp: i64,
    #[serde(flatten)]
    worker: &'a WorkerMetricsLog,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<u32>,
}

impl fmt::Display for MetricsLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        write!(f, "WORKER_METRICS {json}")
    }
}
