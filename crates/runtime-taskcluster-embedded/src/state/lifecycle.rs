//! Tasks from creation to cancellation: scheduling, reruns, priorities.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::State;
use super::task::{Run, Task, TaskSnapshot};
use super::timers::{Timer, TimerKey};
use crate::definition::{Definition, Priority};
use crate::error::RequestError;
use crate::time;

impl State {
    /// Creates a task, and schedules it unless dependencies block it.
    ///
    /// A second call with the same definition succeeds, because clients retry `createTask`.
    pub(crate) fn create_task(
        &mut self,
        task_id: &str,
        definition: Definition,
        now: Timestamp,
    ) -> Result<TaskSnapshot, RequestError> {
        if let Some(task) = self.tasks.get(task_id)? {
            // Clients repeat the call after a lost answer.
            if *task.definition == definition {
                return Ok(task.status());
            }
            return Err(RequestError::conflict(format!(
                "taskId `{task_id}` already used by another task.\nThis could be the result of faulty idempotency!"
            )));
        }
        // After the comparison above: a repeated call succeeds even if the deadline has passed in
        // the meantime.
        definition.check_times(now)?;
        self.check_group(&definition)?;
        let id: Arc<str> = Arc::from(task_id);
        // The last check that can fail. What follows changes several parts of the state.
        let blocked_by = self.add_to_dependencies(&id, &definition)?;
        let group = (
            Arc::from(&*definition.task_group_id),
            Arc::from(&*definition.scheduler_id),
        );
        self.add_to_group(&id, group, definition.expires);
        let task = Task {
            id: Arc::clone(&id),
            number: self.task_count,
            retries_left: definition.retries,
            deadline_timer: Some(self.add_deadline_timer(&id, definition.deadline)),
            definition: Arc::new(definition),
            runs: Vec::new(),
            blocked_by,
        };
        self.task_count = self.task_count.saturating_add(1);
        let is_ready = task.blocked_by.is_empty();
        self.tasks.insert(task);
        if is_ready {
            self.add_run(&id, "scheduled", now);
        }
        self.task(task_id).map(|task| task.status())
    }

    pub(super) fn add_deadline_timer(&mut self, id: &Arc<str>, deadline: Timestamp) -> TimerKey {
        let due = time::after(deadline, self.resolver_delay);
        let task_id = Arc::clone(id);
        self.timers.add(due, Timer::DeadlinePassed { task_id })
    }

    /// Adds the task to the dependents of its dependencies, and returns those that block it.
    fn add_to_dependencies(
        &mut self,
        id: &Arc<str>,
        definition: &Definition,
    ) -> Result<BTreeSet<String>, RequestError> {
        // A task may depend on itself: it then stays unscheduled until `scheduleTask`.
        let (on_itself, on_others): (Vec<_>, Vec<_>) = definition
            .dependencies
            .iter()
            .partition(|dependency| ***dependency == **id);
        let missing: Vec<_> = on_others
            .iter()
            .filter(|other| !self.tasks.contains(other))
            .collect();
        if !missing.is_empty() {
            return Err(RequestError::input(format!(
                "`task.dependencies` references non-existing tasks: {missing:?}"
            )));
        }
        let mut blocked_by: BTreeSet<_> = on_itself.into_iter().cloned().collect();
        for other in on_others {
            self.add_dependent(other, id);
            let state = self.tasks.state(other);
            if !state.is_some_and(|state| definition.requires.is_satisfied_by(&state)) {
                blocked_by.insert(other.clone());
            }
        }
        Ok(blocked_by)
    }

    pub(super) fn add_dependent(&mut self, task_id: &str, dependent: &Arc<str>) {
        let dependents = self.dependents.entry(Arc::from(task_id));
        dependents.or_default().push(Arc::clone(dependent));
    }

    /// Adds a pending run.
    pub(super) fn add_run(&mut self, task_id: &str, reason: &'static str, now: Timestamp) {
        let Ok(Some(task)) = self.tasks.get_mut(task_id) else {
            return;
        };
        self.pending_count = self.pending_count.saturating_add(1);
        let key = (task.definition.priority, self.pending_count);
        let mut run = Run::new(task.runs.len() as u32, reason, now);
        run.pending = Some(key);
        let (id, run_id) = (Arc::clone(&task.id), run.status.run_id);
        task.runs.push(run);
        let definition = Arc::clone(&task.definition);
        self.queue(&definition.task_queue_id).push(key, id, run_id);
    }

    /// Schedules a task even if dependencies block it.
    pub(crate) fn schedule_task(
        &mut self,
        task_id: &str,
        now: Timestamp,
    ) -> Result<TaskSnapshot, RequestError> {
        let task = self.task(task_id)?;
        check_deadline(&task, "scheduled", now)?;
        if task.runs.is_empty() {
            self.add_run(task_id, "scheduled", now);
        }
        self.task(task_id).map(|task| task.status())
    }

    /// Adds a run to a resolved task and restores its retries.
    pub(crate) fn rerun_task(
        &mut self,
        task_id: &str,
        now: Timestamp,
    ) -> Result<TaskSnapshot, RequestError> {
        let task = self.task(task_id)?;
        check_deadline(&task, "rerun", now)?;
        if task.state().is_resolved() {
            let (id, definition) = (Arc::clone(&task.id), Arc::clone(&task.definition));
            // The resolution of the task has cancelled its deadline timer.
            let timer = self.add_deadline_timer(&id, definition.deadline);
            let task = self.task_mut(task_id)?;
            task.deadline_timer = Some(timer);
            task.retries_left = definition.retries;
            self.add_run(task_id, "rerun", now);
        }
        self.task(task_id).map(|task| task.status())
    }

    /// Sets the priority of a task, and moves its pending run in the queue.
    pub(crate) fn change_priority(
        &mut self,
        task_id: &str,
        priority: Priority,
    ) -> Result<TaskSnapshot, RequestError> {
        let task = self.tasks.get_mut(task_id)?;
        let task = task.ok_or_else(|| super::unknown_task(task_id))?;
        // A copy, if a claim that is being answered still holds the definition.
        Arc::make_mut(&mut task.definition).priority = priority;
        if let Some(run) = task.runs.last_mut()
            && let Some(key) = run.pending
            && let Some(queue) = self.queues.get_mut(&task.definition.task_queue_id)
        {
            // The run keeps its rank among runs of the new priority.
            let new_key = (priority, key.1);
            run.pending = Some(new_key);
            queue.reposition(key, new_key);
        }
        Ok(task.status())
    }

    /// Cancels a task. A resolved task stays as it is.
    pub(crate) fn cancel_task(
        &mut self,
        task_id: &str,
        now: Timestamp,
    ) -> Result<TaskSnapshot, RequestError> {
        let task = self.task(task_id)?;
        // For a resolved task, the real queue answers 200 and changes nothing.
        if !task.state().is_resolved() {
            check_deadline(&task, "canceled", now)?;
            self.resolve_task(task_id, "canceled", now);
        }
        self.task(task_id).map(|task| task.status())
    }
}

fn check_deadline(task: &Task, change: &str, now: Timestamp) -> Result<(), RequestError> {
    let deadline = task.definition.deadline;
    if deadline >= now {
        return Ok(());
    }
    Err(RequestError::conflict(format!(
        "Task `{}` can't be {change} past its deadline of {}.",
        task.id,
        time::millis(deadline)
    )))
}
