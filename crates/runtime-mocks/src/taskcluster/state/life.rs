//! How tasks come to life, change and end.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::task::{Run, Task, TaskState, TaskStatus};
use super::timers::{Timer, TimerKey};
use super::{State, unknown_task};
use crate::taskcluster::definition::{Definition, Priority, Requires};
use crate::taskcluster::error::RequestError;
use crate::taskcluster::services::index;
use crate::taskcluster::time;

/// How a worker says that a run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Completed,
    Failed,
    /// With one of the reasons that a worker may give.
    Exception(&'static str),
}

impl Verdict {
    fn state(self) -> TaskState {
        match self {
            Self::Completed => TaskState::Completed,
            Self::Failed => TaskState::Failed,
            Self::Exception(_) => TaskState::Exception,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Exception(reason) => reason,
        }
    }

    /// Why there is another run, if the queue tries again after this.
    fn retry(self) -> Option<&'static str> {
        match self {
            Self::Exception("worker-shutdown" | "claim-expired") => Some("retry"),
            Self::Exception("intermittent-task") => Some("task-retry"),
            _ => None,
        }
    }

    fn conflict(self, task_id: &str, run_id: u32) -> RequestError {
        RequestError::conflict(match self {
            Self::Exception(_) => format!("Run {run_id} on task `{task_id}` is resolved or not running."),
            verdict => format!("Run {run_id} of task `{task_id}` is not running or {}.", verdict.reason()),
        })
    }
}

impl State {
    /// Adds a task, and schedules it if it waits for no other.
    pub(crate) fn create_task(
        &mut self,
        task_id: &str,
        definition: Definition,
        now: Timestamp,
    ) -> Result<TaskStatus, RequestError> {
        if let Some(task) = self.tasks.get(task_id) {
            return match *task.definition == definition {
                true => Ok(task.status()),
                false => Err(RequestError::conflict(format!(
                    "taskId `{task_id}` already used by another task.\nThis could be the result of faulty idempotency!"
                ))),
            };
        }
        definition.check_times(now)?;
        self.check_group(&definition)?;
        let id: Arc<str> = Arc::from(task_id);
        let waits_for = self.wait_for_dependencies(&id, &definition)?;
        self.join_group(&id, &definition);
        let deadline_timer = Some(self.add_deadline(&id, definition.deadline));
        let task = Task {
            id: Arc::clone(&id),
            retries_left: definition.retries,
            definition: Arc::new(definition),
            runs: Vec::new(),
            deadline_timer,
            waits_for,
            dependents: Vec::new(),
            artifacts: Default::default(),
        };
        let ready = task.waits_for.is_empty();
        self.tasks.insert(Arc::clone(&id), task);
        if ready {
            self.add_run(&id, "scheduled", now);
        }
        self.task(task_id).map(Task::status)
    }

    fn add_deadline(&mut self, id: &Arc<str>, deadline: Timestamp) -> TimerKey {
        let due = time::after(deadline, self.resolver_delay);
        self.timers.add(due, Timer::DeadlinePassed { task_id: Arc::clone(id) })
    }

    /// Notes the task at everything that it waits for, and returns what that is.
    fn wait_for_dependencies(
        &mut self,
        id: &Arc<str>,
        definition: &Definition,
    ) -> Result<BTreeSet<String>, RequestError> {
        let others = definition.dependencies.iter().filter(|other| ***other != **id);
        let missing: Vec<_> = others.clone().filter(|other| !self.tasks.contains_key(&***other)).collect();
        if !missing.is_empty() {
            return Err(RequestError::input(format!(
                "`task.dependencies` references non-existing tasks: {missing:?}"
            )));
        }
        let mut waits_for = BTreeSet::new();
        for other in others {
            let Some(task) = self.tasks.get_mut(&**other) else { continue };
            task.dependents.push(Arc::clone(id));
            if !frees(definition.requires, task.state()) {
                waits_for.insert(other.clone());
            }
        }
        // A task that depends on itself waits for somebody to schedule it.
        waits_for.extend(definition.dependencies.iter().filter(|other| ***other == **id).cloned());
        Ok(waits_for)
    }

    /// Adds a pending run.
    pub(crate) fn add_run(&mut self, task_id: &str, reason: &'static str, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(task_id) else { return };
        self.arrivals += 1;
        let key = (task.definition.priority, self.arrivals);
        let mut run = Run::new(task.runs.len() as u32, reason, now);
        run.pending = Some(key);
        let (id, run_id) = (Arc::clone(&task.id), run.status.run_id);
        task.runs.push(run);
        let queue = Arc::clone(&task.definition);
        self.queue(&queue.task_queue_id).push(key, id, run_id);
    }

    /// Ends a run as its worker says, and tries again where that is the rule.
    pub(crate) fn resolve(
        &mut self,
        task_id: &str,
        run_id: u32,
        verdict: Verdict,
        now: Timestamp,
    ) -> Result<TaskStatus, RequestError> {
        let task = self.task(task_id)?;
        let run = task.run(run_id).ok_or_else(|| unknown_run(task_id, run_id))?;
        let again = run.status.state == verdict.state() && run.status.reason_resolved == Some(verdict.reason());
        if again {
            return Ok(task.status());
        }
        if !task.is_last(run_id) || run.status.state != TaskState::Running {
            return Err(verdict.conflict(task_id, run_id));
        }
        self.end_run(task_id, run_id, verdict, now);
        self.task(task_id).map(Task::status)
    }

    /// Ends a run; then the task ends too, or runs again.
    fn end_run(&mut self, task_id: &str, run_id: u32, verdict: Verdict, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(task_id) else { return };
        let Some(run) = task.runs.get_mut(run_id as usize) else { return };
        let was_running = run.status.state == TaskState::Running;
        run.status.state = verdict.state();
        run.status.reason_resolved = Some(verdict.reason());
        run.status.resolved = Some(now);
        self.timers.cancel(run.claim_timer.take());
        if let Some(queue) = self.queues.get_mut(&task.definition.task_queue_id) {
            queue.claimed -= usize::from(was_running);
            if let Some(key) = run.pending.take() {
                queue.remove(&key);
            }
        }
        match verdict.retry().filter(|_| task.retries_left > 0) {
            Some(reason) => {
                task.retries_left -= 1;
                self.add_run(task_id, reason, now);
            }
            None => self.settle(task_id, now),
        }
    }

    /// Does what follows from the end of a task: frees what waits for it, and indexes it.
    fn settle(&mut self, task_id: &str, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(task_id) else { return };
        self.timers.cancel(task.deadline_timer.take());
        let (state, definition) = (task.state(), Arc::clone(&task.definition));
        if state == TaskState::Completed {
            index::add_completed(&mut self.index, task_id, &definition);
        }
        let dependents = self.tasks.get(task_id).map(|task| task.dependents.clone());
        for dependent in dependents.into_iter().flatten() {
            self.free(&dependent, task_id, state, now);
        }
    }

    fn free(&mut self, dependent: &str, task_id: &str, state: TaskState, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(dependent) else { return };
        if frees(task.definition.requires, state)
            && task.waits_for.remove(task_id)
            && task.waits_for.is_empty()
            && task.runs.is_empty()
        {
            self.add_run(dependent, "scheduled", now);
        }
    }

    /// Schedules a task no matter what it waits for.
    pub(crate) fn schedule_task(&mut self, task_id: &str, now: Timestamp) -> Result<TaskStatus, RequestError> {
        let task = self.task(task_id)?;
        not_past_deadline(task, "scheduled", now)?;
        if task.runs.is_empty() {
            self.add_run(task_id, "scheduled", now);
        }
        self.task(task_id).map(Task::status)
    }

    /// Runs a resolved task once more, with all its retries.
    pub(crate) fn rerun_task(&mut self, task_id: &str, now: Timestamp) -> Result<TaskStatus, RequestError> {
        let task = self.tasks.get_mut(task_id).ok_or_else(|| unknown_task(task_id))?;
        not_past_deadline(task, "rerun", now)?;
        if task.state().is_resolved() {
            task.retries_left = task.definition.retries;
            let (id, deadline) = (Arc::clone(&task.id), task.definition.deadline);
            let timer = self.add_deadline(&id, deadline);
            if let Some(task) = self.tasks.get_mut(task_id) {
                task.deadline_timer = Some(timer);
            }
            self.add_run(task_id, "rerun", now);
        }
        self.task(task_id).map(Task::status)
    }

    /// Makes a task more or less urgent, also in its queue.
    pub(crate) fn change_priority(
        &mut self,
        task_id: &str,
        priority: Priority,
    ) -> Result<TaskStatus, RequestError> {
        let task = self.tasks.get_mut(task_id).ok_or_else(|| unknown_task(task_id))?;
        Arc::make_mut(&mut task.definition).priority = priority;
        if let Some(run) = task.runs.last_mut()
            && let Some((_, arrival)) = run.pending
            && let Some(queue) = self.queues.get_mut(&task.definition.task_queue_id)
        {
            let place = (priority, arrival);
            queue.replace(run.pending.replace(place), place, (Arc::clone(&task.id), run.status.run_id));
        }
        Ok(task.status())
    }

    /// Ends a task before its time; a resolved one stays as it is.
    pub(crate) fn cancel_task(&mut self, task_id: &str, now: Timestamp) -> Result<TaskStatus, RequestError> {
        let task = self.task(task_id)?;
        if !task.state().is_resolved() {
            not_past_deadline(task, "canceled", now)?;
            self.stop_task(task_id, "canceled", now);
        }
        self.task(task_id).map(Task::status)
    }

    /// Ends the task with an exception; one that never was scheduled gets a run that says so.
    fn stop_task(&mut self, task_id: &str, reason: &'static str, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(task_id) else { return };
        if task.state().is_resolved() {
            return;
        }
        if task.runs.is_empty() {
            task.runs.push(Run::new(0, "exception", now));
        }
        let last = task.runs.len() as u32 - 1;
        self.end_run(task_id, last, Verdict::Exception(reason), now);
    }

    /// Does everything whose time has come.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::ClaimExpired { task_id, run_id } => {
                    self.end_run(&task_id, run_id, Verdict::Exception("claim-expired"), now);
                }
                Timer::DeadlinePassed { task_id } => self.stop_task(&task_id, "deadline-exceeded", now),
            }
        }
    }
}

/// Tells whether a dependency in this state stops being one.
fn frees(requires: Requires, state: TaskState) -> bool {
    match requires {
        Requires::AllCompleted => state == TaskState::Completed,
        Requires::AllResolved => state.is_resolved(),
    }
}

fn not_past_deadline(task: &Task, done: &str, now: Timestamp) -> Result<(), RequestError> {
    let deadline = task.definition.deadline;
    match deadline < now {
        false => Ok(()),
        true => Err(RequestError::conflict(format!(
            "Task `{}` can't be {done} past its deadline of {}.",
            task.id,
            time::millis(deadline)
        ))),
    }
}

/// The refusal for a run that is not there.
pub(crate) fn unknown_run(task_id: &str, run_id: u32) -> RequestError {
    RequestError::not_found(format!("Run {run_id} not found on task `{task_id}`."))
}
