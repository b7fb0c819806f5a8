//! Task groups.

use std::sync::Arc;

use jiff::Timestamp;

use super::State;
use crate::definition::Definition;
use crate::error::RequestError;

/// A task group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) scheduler_id: Arc<str>,
    pub(crate) expires: Timestamp,
    /// In the order of creation.
    pub(crate) tasks: Vec<Arc<str>>,
}

impl State {
    /// Fails if the group of the task has another scheduler or is sealed.
    pub(super) fn check_group(&self, task: &Definition) -> Result<(), RequestError> {
        let id = &task.task_group_id;
        match self.groups.get(id.as_str()) {
            Some(group) if *group.scheduler_id != *task.scheduler_id => {
                Err(RequestError::conflict(format!(
                    "Task group `{id}` contains tasks with schedulerId `{}`. You are attempting to include tasks from schedulerId `{}`, which is not permitted.",
                    group.scheduler_id, task.scheduler_id
                )))
            }
            Some(_) if self.sealed_groups.contains_key(id) => Err(RequestError::conflict(format!(
                "Task group `{id}` is sealed and does not accept new tasks."
            ))),
            _ => Ok(()),
        }
    }

    /// Adds a task to its group. The group expires with its last task.
    pub(super) fn add_to_group(
        &mut self,
        id: &Arc<str>,
        (task_group_id, scheduler_id): (Arc<str>, Arc<str>),
        expires: Timestamp,
    ) {
        let group = self.groups.entry(task_group_id);
        let group = group.or_insert_with(|| Group {
            scheduler_id,
            expires,
            tasks: Vec::new(),
        });
        group.expires = group.expires.max(expires);
        group.tasks.push(Arc::clone(id));
    }

    /// Returns a group, or the error that all methods answer for an unknown one.
    pub(crate) fn group(&self, id: &str) -> Result<&Group, RequestError> {
        let unknown = || RequestError::not_found(format!("No task-group with taskGroupId: `{id}`"));
        self.groups.get(id).ok_or_else(unknown)
    }
}
