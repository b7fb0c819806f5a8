//! The lines about a worker's life that log pipelines of Taskcluster look for.

use std::fmt;

use runtime_core::{Monitor, Run, Timestamp, WorkerIdentity};
use serde::Serialize;

/// What happened to a worker or to a task on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum WorkerEvent {
    /// The machine has started.
    InstanceBoot,
    /// The worker can claim tasks.
    WorkerReady,
    /// A task was claimed that had been waiting since this time.
    TaskQueued,
    /// A task starts to run.
    TaskStart,
    /// A task was resolved.
    TaskFinish,
    /// The machine starts again.
    InstanceReboot,
    /// The machine shuts down.
    InstanceShutdown,
}

/// Who the events are about.
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
    /// Names the kind of worker, such as `my-worker`, and where it runs.
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

    /// The line `WORKER_METRICS {json}` of an event.
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
        Line {
            event_type: event,
            timestamp: at.as_second(),
            events: self,
            task_id: run.map(|run| run.task_id.as_str()),
            run_id: run.map(|run| run.run_id),
        }
        .to_string()
    }

    /// Logs the line of an event, as information.
    pub fn log(&self, monitor: &Monitor, event: WorkerEvent, run: Option<&Run>, at: Timestamp) {
        monitor.info(self.line(event, run, at));
    }
}

/// What stands in the line, in this order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    event_type: WorkerEvent,
    timestamp: i64,
    #[serde(flatten)]
    events: &'a WorkerMetricsLog,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<u32>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        write!(f, "WORKER_METRICS {json}")
    }
}
