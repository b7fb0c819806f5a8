//! How tasks come to life, change and end.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::task::{Run, Task, TaskState, TaskStatus};
use super::timers::{Timer, TimerKey};
use super::{State, unknown_task};
use crate::definition::{Definition, Priority, Requires};
use crate::error::RequestError;
use crate::time;

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
        self.timers.add(
            due,
            Timer::DeadlinePassed {
                task_id: Arc::clone(id),
            },
        )
    }

    /// Notes the task at everything that it waits for, and returns what that is.
    fn wait_for_dependencies(
        &mut self,
        id: &Arc<str>,
        definition: &Definition,
    ) -> Result<BTreeSet<String>, RequestError> {
        let others = definition
            .dependencies
            .iter()
            .filter(|other| ***other != **id);
        let missing: Vec<_> = others
            .clone()
            .filter(|other| !self.tasks.contains_key(&***other))
            .collect();
        if !missing.is_empty() {
            return Err(RequestError::input(format!(
                "`task.dependencies` references non-existing tasks: {missing:?}"
            )));
        }
        let mut waits_for = BTreeSet::new();
        for other in others {
            let Some(task) = self.tasks.get_mut(&**other) else {
                continue;
            };
            task.dependents.push(Arc::clone(id));
            if !frees(definition.requires, task.state()) {
                waits_for.insert(other.clone());
            }
        }
        // A task that depends on itself waits for somebody to schedule it.
        waits_for.extend(
            definition
                .dependencies
                .iter()
                .filter(|other| ***other == **id)
                .cloned(),
        );
        Ok(waits_for)
    }

    /// Adds a pending run.
    pub(crate) fn add_run(&mut self, task_id: &str, reason: &'static str, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(task_id) else {
            return;
        };
        self.arrivals += 1;
        let key = (task.definition.priority, self.arrivals);
        let mut run = Run::new(task.runs.len() as u32, reason, now);
        run.pending = Some(key);
        let (id, run_id) = (Arc::clone(&task.id), run.status.run_id);
        task.runs.push(run);
        let queue = Arc::clone(&task.definition);
        self.queue(&queue.task_queue_id).push(key, id, run_id);
    }

    /// Schedules a task no matter what it waits for.
    pub(crate) fn schedule_task(
        &mut self,
        task_id: &str,
        now: Timestamp,
    ) -> Result<TaskStatus, RequestError> {
        let task = self.task(task_id)?;
        not_past_deadline(task, "scheduled", now)?;
        if task.runs.is_empty() {
            self.add_run(task_id, "scheduled", now);
        }
        self.task(task_id).map(Task::status)
    }

    /// Runs a resolved task once more, with all its retries.
    pub(crate) fn rerun_task(
        &mut self,
        task_id: &str,
        now: Timestamp,
    ) -> Result<TaskStatus, RequestError> {
        let task = self
            .tasks
            .get_mut(task_id)
            .ok_or_else(|| unknown_task(task_id))?;
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
        let task = self
            .tasks
            .get_mut(task_id)
            .ok_or_else(|| unknown_task(task_id))?;
        Arc::make_mut(&mut task.definition).priority = priority;
        if let Some(run) = task.runs.last_mut()
            && let Some((_, arrival)) = run.pending
            && let Some(queue) = self.queues.get_mut(&task.definition.task_queue_id)
        {
            let place = (priority, arrival);
            queue.replace(
                run.pending.replace(place),
                place,
                (Arc::clone(&task.id), run.status.run_id),
            );
        }
        Ok(task.status())
    }

    /// Ends a task before its time; a resolved one stays as it is.
    pub(crate) fn cancel_task(
        &mut self,
        task_id: &str,
        now: Timestamp,
    ) -> Result<TaskStatus, RequestError> {
        let task = self.task(task_id)?;
        if !task.state().is_resolved() {
            not_past_deadline(task, "canceled", now)?;
            self.stop_task(task_id, "canceled", now);
        }
        self.task(task_id).map(Task::status)
    }
}

/// Tells whether a dependency in this state stops being one.
pub(super) fn frees(requires: Requires, state: TaskState) -> bool {
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
