//! Groups of tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::State;
use crate::definition::Definition;
use crate::error::RequestError;

/// Tasks that belong together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) scheduler_id: String,
    pub(crate) expires: Timestamp,
    /// Since when no task may be added.
    pub(crate) sealed: Option<Timestamp>,
    /// In the order in which they were created.
    pub(crate) tasks: Vec<Arc<str>>,
}

/// The groups by id.
pub(crate) type Groups = BTreeMap<String, Group>;

impl State {
    /// Refuses a task that its group does not take.
    pub(super) fn check_group(&self, task: &Definition) -> Result<(), RequestError> {
        let id = &task.task_group_id;
        match self.groups.get(id) {
            Some(group) if group.scheduler_id != task.scheduler_id => {
                Err(RequestError::conflict(format!(
                    "Task group `{id}` contains tasks with schedulerId `{}`. You are attempting to include tasks from schedulerId `{}`, which is not permitted.",
                    group.scheduler_id, task.scheduler_id
                )))
            }
            Some(Group {
                sealed: Some(_), ..
            }) => Err(RequestError::conflict(format!(
                "Task group `{id}` is sealed and does not accept new tasks."
            ))),
            _ => Ok(()),
        }
    }

    /// Adds a task to its group.
    pub(super) fn join_group(&mut self, id: &Arc<str>, task: &Definition) {
        let group = self
            .groups
            .entry(task.task_group_id.clone())
            .or_insert_with(|| Group {
                scheduler_id: task.scheduler_id.clone(),
                expires: task.expires,
                sealed: None,
                tasks: Vec::new(),
            });
        group.expires = group.expires.max(task.expires);
        group.tasks.push(Arc::clone(id));
    }

    /// The group, or the refusal that all methods answer for one that is not there.
    pub(crate) fn group(&self, id: &str) -> Result<&Group, RequestError> {
        let missing = || RequestError::not_found(format!("No task-group with taskGroupId: `{id}`"));
        self.groups.get(id).ok_or_else(missing)
    }
}
