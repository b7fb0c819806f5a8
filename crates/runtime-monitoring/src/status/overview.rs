//! The tasks of a worker, for the status page.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use runtime_core::Run;
use runtime_ioext::FollowedLog;
use serde::Serialize;

use crate::metrics::Metrics;

const MAX_FINISHED: usize = 20;

/// The running tasks and the last 20 finished ones. Clones share the lists.
///
/// The worker's observer calls [`claimed`](Self::claimed), [`log`](Self::log), [`live_log`](Self::live_log),
/// [`started`](Self::started) and [`resolved`](Self::resolved). The gauge `tasks` counts the tasks by state.
#[derive(Clone, Default)]
pub struct TaskOverview {
    lists: Arc<Mutex<TaskLists>>,
    metrics: Option<Metrics>,
}

#[derive(Default)]
struct TaskLists {
    running: BTreeMap<Run, HeldTask>,
    /// Newest first.
    finished: VecDeque<FinishedTask>,
}

struct HeldTask {
    task: RunningTask,
    log: Option<FollowedLog>,
}

/// The state of a task that the worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HeldTaskState {
    /// Claimed, but not started.
    Claimed,
    /// Started.
    Running,
}

/// A task that the worker has claimed and not yet resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunningTask {
    /// The task id.
    pub task_id: String,
    /// The number of the run.
    pub run_id: u32,
    /// The name in the task's metadata.
    pub name: String,
    /// The state.
    pub state: HeldTaskState,
    /// The time of the claim.
    pub claimed: Timestamp,
    /// The time of the start.
    pub started: Option<Timestamp>,
    /// The URL of the live log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_log: Option<String>,
}

/// A resolved task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FinishedTask {
    /// The task id.
    pub task_id: String,
    /// The number of the run.
    pub run_id: u32,
    /// The name in the task's metadata.
    pub name: String,
    /// The resolution, such as `completed`.
    pub resolution: String,
    /// The time of the claim.
    pub claimed: Timestamp,
    /// The time of the resolution.
    pub resolved: Timestamp,
}

impl TaskOverview {
    /// Creates empty lists that set the gauge `tasks` in `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let overview = Self {
            lists: Arc::default(),
            metrics: Some(metrics.clone()),
        };
        overview.set_gauges(&TaskLists::default());
        overview
    }

    /// Adds a claimed task.
    pub fn claimed(&self, run: &Run, name: &str) {
        let task = RunningTask {
            task_id: run.task_id.to_string(),
            run_id: run.run_id,
            name: name.to_owned(),
            state: HeldTaskState::Claimed,
            claimed: Timestamp::now(),
            started: None,
            live_log: None,
        };
        self.update(|lists| {
            drop(
                lists
                    .running
                    .insert(run.clone(), HeldTask { task, log: None }),
            )
        });
    }

    /// Sets the log of a claimed task.
    pub fn log(&self, run: &Run, log: &FollowedLog) {
        self.update(|lists| {
            if let Some(held) = lists.running.get_mut(run) {
                held.log = Some(log.clone());
            }
        });
    }

    /// Sets the URL of the live log of a claimed task.
    pub fn live_log(&self, run: &Run, url: &str) {
        self.update(|lists| {
            if let Some(held) = lists.running.get_mut(run) {
                held.task.live_log = Some(url.to_owned());
            }
        });
    }

    /// Marks a claimed task as running.
    pub fn started(&self, run: &Run) {
        self.update(|lists| {
            if let Some(held) = lists.running.get_mut(run) {
                held.task.state = HeldTaskState::Running;
                held.task.started = Some(Timestamp::now());
            }
        });
    }

    /// Moves a task to the finished ones.
    pub fn resolved(&self, run: &Run, resolution: impl fmt::Display) {
        let resolution = resolution.to_string();
        self.update(|lists| {
            // The reference to the log is dropped as well: a finished task must not keep its file open.
            let Some(HeldTask { task, .. }) = lists.running.remove(run) else {
                return;
            };
            lists.finished.truncate(MAX_FINISHED - 1);
            lists.finished.push_front(FinishedTask {
                task_id: task.task_id,
                run_id: task.run_id,
                name: task.name,
                resolution,
                claimed: task.claimed,
                resolved: Timestamp::now(),
            });
        });
    }

    /// Returns the tasks that the worker holds, oldest first.
    #[must_use]
    pub fn running(&self) -> Vec<RunningTask> {
        let lists = self.lists.lock();
        let mut running: Vec<_> = lists
            .running
            .values()
            .map(|held| held.task.clone())
            .collect();
        // The map is ordered by task id, which is random. The id breaks ties, so that the page does not flicker.
        running.sort_by(|a, b| (a.claimed, &a.task_id).cmp(&(b.claimed, &b.task_id)));
        running
    }

    /// Returns the finished tasks, newest first.
    #[must_use]
    pub fn finished(&self) -> Vec<FinishedTask> {
        self.lists.lock().finished.iter().cloned().collect()
    }

    pub(super) fn log_of(&self, task_id: &str, run_id: u32) -> Option<FollowedLog> {
        let lists = self.lists.lock();
        let mut running = lists.running.values();
        let held =
            running.find(|held| held.task.task_id == task_id && held.task.run_id == run_id)?;
        held.log.clone()
    }

    fn update(&self, update: impl FnOnce(&mut TaskLists)) {
        let mut lists = self.lists.lock();
        update(&mut lists);
        // Under the lock: otherwise two concurrent updates could set the gauges in the wrong order.
        self.set_gauges(&lists);
    }

    fn set_gauges(&self, lists: &TaskLists) {
        let Some(metrics) = &self.metrics else {
            return;
        };
        for (state, name) in [
            (HeldTaskState::Claimed, "claimed"),
            (HeldTaskState::Running, "running"),
        ] {
            let tasks = lists.running.values();
            let count = tasks.filter(|held| held.task.state == state).count();
            metrics.set_gauge_with("tasks", &[("state", name)], count as f64);
        }
    }
}

impl fmt::Debug for TaskOverview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskOverview")
            .field("running", &self.running().len())
            .finish_non_exhaustive()
    }
}
