//! The tasks of a worker, as far as operators want to see them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use runtime_core::Run;
use runtime_ioext::FollowedLog;
use serde::Serialize;

use crate::metrics::Metrics;

/// How many finished tasks are kept.
const FINISHED: usize = 20;

/// Keeps what runs and what ran last. Clones are the same board.
///
/// The worker's observer tells it of each step. It sets the gauge `tasks`, by state.
#[derive(Clone, Default)]
pub struct TaskOverview {
    board: Arc<Mutex<Board>>,
    metrics: Option<Metrics>,
}

#[derive(Default)]
struct Board {
    running: BTreeMap<Run, Held>,
    finished: VecDeque<FinishedTask>,
}

struct Held {
    task: RunningTask,
    log: Option<FollowedLog>,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TaskState {
    /// The worker holds it and prepares for it.
    Claimed,
    /// It runs.
    Running,
}

/// A task that the worker holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunningTask {
    /// The task.
    pub task_id: String,
    /// The number of the run.
    pub run_id: u32,
    /// The name in the task's metadata.
    pub name: String,
    /// How far it is.
    pub state: TaskState,
    /// When it was claimed.
    pub claimed: Timestamp,
    /// When it started to run.
    pub started: Option<Timestamp>,
}

/// A task that was resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FinishedTask {
    /// The task.
    pub task_id: String,
    /// The number of the run.
    pub run_id: u32,
    /// The name in the task's metadata.
    pub name: String,
    /// What it came to, such as `completed`.
    pub resolution: String,
    /// When it was claimed.
    pub claimed: Timestamp,
    /// When it was resolved.
    pub resolved: Timestamp,
}

impl TaskOverview {
    /// Makes an empty board that sets gauges there.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let board = Self {
            board: Arc::default(),
            metrics: Some(metrics.clone()),
        };
        board.set_gauges(&Board::default());
        board
    }

    /// The worker holds a task now.
    pub fn claimed(&self, run: &Run, name: &str) {
        let task = RunningTask {
            task_id: run.task_id.to_string(),
            run_id: run.run_id,
            name: name.to_owned(),
            state: TaskState::Claimed,
            claimed: Timestamp::now(),
            started: None,
        };
        self.change(|board| drop(board.running.insert(run.clone(), Held { task, log: None })));
    }

    /// This is the log of a task that the worker holds.
    pub fn log(&self, run: &Run, log: &FollowedLog) {
        self.change(|board| {
            if let Some(held) = board.running.get_mut(run) {
                held.log = Some(log.clone());
            }
        });
    }

    /// A task that the worker holds runs now.
    pub fn started(&self, run: &Run) {
        self.change(|board| {
            if let Some(held) = board.running.get_mut(run) {
                held.task.state = TaskState::Running;
                held.task.started = Some(Timestamp::now());
            }
        });
    }

    /// A task is resolved, and came to this.
    pub fn resolved(&self, run: &Run, resolution: impl fmt::Display) {
        let resolution = resolution.to_string();
        self.change(|board| {
            let Some(Held { task, .. }) = board.running.remove(run) else {
                return;
            };
            board.finished.truncate(FINISHED - 1);
            board.finished.push_front(FinishedTask {
                task_id: task.task_id,
                run_id: task.run_id,
                name: task.name,
                resolution,
                claimed: task.claimed,
                resolved: Timestamp::now(),
            });
        });
    }

    /// What the worker holds, the oldest first.
    #[must_use]
    pub fn running(&self) -> Vec<RunningTask> {
        let board = self.board.lock();
        let mut running: Vec<_> = board
            .running
            .values()
            .map(|held| held.task.clone())
            .collect();
        running.sort_by(|a, b| (a.claimed, &a.task_id).cmp(&(b.claimed, &b.task_id)));
        running
    }

    /// What was resolved last, the newest first.
    #[must_use]
    pub fn finished(&self) -> Vec<FinishedTask> {
        self.board.lock().finished.iter().cloned().collect()
    }

    pub(super) fn log_of(&self, task_id: &str, run_id: u32) -> Option<FollowedLog> {
        let board = self.board.lock();
        let mut running = board.running.values();
        let held =
            running.find(|held| held.task.task_id == task_id && held.task.run_id == run_id)?;
        held.log.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Board)) {
        let mut board = self.board.lock();
        change(&mut board);
        self.set_gauges(&board);
    }

    fn set_gauges(&self, board: &Board) {
        let Some(metrics) = &self.metrics else {
            return;
        };
        for (state, name) in [
            (TaskState::Claimed, "claimed"),
            (TaskState::Running, "running"),
        ] {
            let tasks = board.running.values();
            let count = tasks.filter(|held| held.task.state == state).count();
            metrics.set_gauge_with("tasks", &[("state", name)], count as f64);
        }
    }
}

impl fmt::Debug for TaskOverview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBoard")
            .field("running", &self.running().len())
            .finish_non_exhaustive()
    }
}
