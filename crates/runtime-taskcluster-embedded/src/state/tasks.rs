//! All tasks: in memory until they are resolved, and then in the journal, if there is one.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;
use runtime_core::queue::TaskState;
use serde::Deserialize;

use super::table::JournaledTable;
use super::task::Task;
use crate::error::{ErrorCode, RequestError};
use crate::journal::{Batch, JournalReader, Rewrite, ValueRange};

/// The name in the journal.
const TASKS: &str = "task";

/// A resolved task in the journal.
#[cfg_attr(
    not(feature = "pages"),
    expect(dead_code, reason = "only pages list all tasks")
)]
#[derive(Debug)]
struct StoredTask {
    value: ValueRange,
    task_queue_id: Arc<str>,
    created: Timestamp,
    state: TaskState,
}

/// A task in memory, or one that was read from the journal.
#[derive(Debug)]
pub(crate) enum TaskRef<'a> {
    InMemory(&'a Task),
    Read(Box<Task>),
}

impl Deref for TaskRef<'_> {
    type Target = Task;

    fn deref(&self) -> &Task {
        match self {
            Self::InMemory(task) => task,
            Self::Read(task) => task,
        }
    }
}

/// The properties by which tasks are listed.
#[cfg(feature = "pages")]
#[derive(Clone, Debug)]
pub(crate) struct TaskSummary<'a> {
    pub(crate) id: &'a Arc<str>,
    pub(crate) task_queue_id: &'a str,
    pub(crate) created: Timestamp,
    pub(crate) state: TaskState,
}

/// All tasks by id.
///
/// With a journal, a resolved task is removed from memory after it was written, so that a server may have many resolved
/// tasks.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    in_memory: HashMap<Arc<str>, Task>,
    stored: HashMap<Arc<str>, StoredTask>,
    /// The queues and schedulers of the stored tasks, each once.
    names: HashSet<Arc<str>>,
    changed: BTreeSet<Arc<str>>,
    journal: Option<JournalReader>,
    /// The positions of the resolved tasks in the current batch or rewrite, before it is complete.
    written: Vec<(Arc<str>, ValueRange)>,
    /// The links of restored tasks, until the state has them.
    links: Vec<TaskLinks>,
}

impl Tasks {
    pub(super) fn set_journal(&mut self, journal: JournalReader) {
        self.journal = Some(journal);
    }

    /// Reads from the new journal of a rewrite from now on, or from the old one if there is none.
    pub(super) fn end_rewrite(&mut self, journal: Option<JournalReader>) {
        let written = std::mem::take(&mut self.written);
        // Without a new journal, the positions were those in the removed file.
        let Some(journal) = journal else { return };
        self.journal = Some(journal);
        for (id, value) in written {
            if let Some(stored) = self.stored.get_mut(&id) {
                stored.value = value;
            }
        }
    }

    /// Returns whether a task may have changed since the last save.
    pub(crate) fn are_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.in_memory.contains_key(id) || self.stored.contains_key(id)
    }

    /// Returns a task.
    ///
    /// Fails if the task exists but cannot be read from the journal, because another task must not get its id.
    pub(crate) fn get(&self, id: &str) -> Result<Option<TaskRef<'_>>, RequestError> {
        if let Some(task) = self.in_memory.get(id) {
            return Ok(Some(TaskRef::InMemory(task)));
        }
        match self.stored.get(id) {
            Some(stored) => Ok(Some(TaskRef::Read(Box::new(self.read(id, stored.value)?)))),
            None => Ok(None),
        }
    }

    /// Returns a task to change. Fails like [`get`](Self::get).
    pub(crate) fn get_mut(&mut self, id: &str) -> Result<Option<&mut Task>, RequestError> {
        if let Some((id, stored)) = self.stored.get_key_value(id) {
            // Read before the removal: after a failed read the task must stay, or another could
            // take its id.
            let task = self.read(id, stored.value)?;
            let id = Arc::clone(id);
            self.stored.remove(&id);
            self.in_memory.insert(id, task);
        }
        let task = self.in_memory.get_mut(id);
        // Even if the caller changes nothing: then the next save repeats the value, which is
        // harmless.
        if let Some(task) = &task {
            self.changed.insert(Arc::clone(&task.id));
        }
        Ok(task)
    }

    fn read(&self, id: &str, value: ValueRange) -> Result<Task, RequestError> {
        let journal = self.journal.as_ref().ok_or(io::ErrorKind::NotFound);
        let bytes = journal
            .map_err(io::Error::from)
            .and_then(|journal| journal.read(value));
        let task = bytes.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        task.map_err(|error| {
            let message = format!(
                "The task `{id}` could not be read from the data folder: {error}. Check the disk and restart the server."
            );
            RequestError::new(ErrorCode::InternalServerError, message)
        })
    }

    pub(super) fn insert(&mut self, task: Task) {
        self.changed.insert(Arc::clone(&task.id));
        self.in_memory.insert(Arc::clone(&task.id), task);
    }

    /// Returns the state of a task.
    pub(crate) fn state(&self, id: &str) -> Option<TaskState> {
        let in_memory = self.in_memory.get(id).map(Task::state);
        in_memory.or_else(|| Some(self.stored.get(id)?.state.clone()))
    }

    /// Returns the tasks that are in memory, among them all unresolved ones.
    pub(crate) fn in_memory(&self) -> impl Iterator<Item = &Task> {
        self.in_memory.values()
    }

    /// Returns the summaries of all tasks.
    #[cfg(feature = "pages")]
    pub(crate) fn summaries(&self) -> impl Iterator<Item = TaskSummary<'_>> {
        let in_memory = self.in_memory.values().map(|task| TaskSummary {
            id: &task.id,
            task_queue_id: &task.definition.task_queue_id,
            created: task.definition.created,
            state: task.state(),
        });
        let stored = self.stored.iter().map(|(id, task)| TaskSummary {
            id,
            task_queue_id: &task.task_queue_id,
            created: task.created,
            state: task.state.clone(),
        });
        in_memory.chain(stored)
    }

    /// Returns the links of the restored tasks in the order of creation.
    pub(super) fn take_links(&mut self) -> Vec<TaskLinks> {
        let mut links = std::mem::take(&mut self.links);
        links.sort_unstable_by_key(|task| task.number);
        links
    }

    /// Returns a restored task in memory, for a change that is not stored.
    pub(super) fn restored_mut(&mut self, id: &str) -> Option<&mut Task> {
        self.in_memory.get_mut(id)
    }

    fn shared_name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(name);
        self.names.insert(Arc::clone(&new));
        new
    }
}

impl JournaledTable for Tasks {
    fn name(&self) -> &'static str {
        TASKS
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: &[u8],
        position: ValueRange,
    ) -> serde_json::Result<()> {
        let id: Arc<str> = serde_json::from_slice(key)?;
        // Resolved tasks are nearly all, so their other properties are not even parsed.
        let head: TaskHead<'_> = serde_json::from_slice(value)?;
        let run = head.runs.last();
        let state = run.map_or(TaskState::Unscheduled, |run| run.status.state.clone());
        if state.is_resolved() {
            let stored = StoredTask {
                value: position,
                task_queue_id: self.shared_name(&head.definition.task_queue_id),
                created: head.definition.created,
                state,
            };
            self.stored.insert(Arc::clone(&id), stored);
        } else {
            let task = serde_json::from_slice(value)?;
            self.in_memory.insert(Arc::clone(&id), task);
        }
        let group = &*head.definition.task_group_id;
        let links = TaskLinks {
            number: head.number,
            // Most tasks are alone in a group with their own id.
            task_group_id: if *group == *id {
                Arc::clone(&id)
            } else {
                Arc::from(group)
            },
            scheduler_id: self.shared_name(&head.definition.scheduler_id),
            dependencies: head.definition.dependencies,
            expires: head.definition.expires,
            id,
        };
        self.links.push(links);
        Ok(())
    }

    fn write_changes(&mut self, batch: &mut Batch) -> io::Result<()> {
        // A rewrite that panicked has left positions in the file that it did not complete.
        self.written.clear();
        for id in &self.changed {
            let Some(task) = self.in_memory.get(id) else {
                continue;
            };
            let position = batch.put(TASKS, &**id, task)?;
            if task.state().is_resolved() {
                self.written.push((Arc::clone(id), position));
            }
        }
        Ok(())
    }

    fn write_all(&mut self, rewrite: &mut Rewrite) -> io::Result<()> {
        for (id, task) in &self.in_memory {
            rewrite.batch.put(TASKS, &**id, task)?;
            rewrite.flush_if_large()?;
        }
        let journal = self.journal.as_ref().ok_or(io::ErrorKind::NotFound)?;
        for (id, stored) in &self.stored {
            // From the old file, which stays open until the new one has replaced it.
            let value = journal.read(stored.value)?;
            let position = rewrite.batch.copy(TASKS, &**id, &value)?;
            self.written.push((Arc::clone(id), position));
            rewrite.flush_if_large()?;
        }
        Ok(())
    }

    fn changes_saved(&mut self) {
        self.changed.clear();
        // Only now: a position that was not written could not be read.
        for (id, value) in std::mem::take(&mut self.written) {
            let Some(task) = self.in_memory.remove(&id) else {
                continue;
            };
            let stored = StoredTask {
                value,
                created: task.definition.created,
                task_queue_id: self.shared_name(&task.definition.task_queue_id),
                state: task.state(),
            };
            self.stored.insert(id, stored);
        }
    }
}

/// The parts of a stored task that are needed at the start.
#[derive(Deserialize)]
struct TaskHead<'a> {
    number: u64,
    #[serde(borrow)]
    definition: DefinitionHead<'a>,
    runs: Vec<RunHead>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DefinitionHead<'a> {
    #[serde(borrow)]
    task_queue_id: Cow<'a, str>,
    #[serde(borrow)]
    scheduler_id: Cow<'a, str>,
    #[serde(borrow)]
    task_group_id: Cow<'a, str>,
    dependencies: Vec<String>,
    created: Timestamp,
    expires: Timestamp,
}

#[derive(Deserialize)]
struct RunHead {
    status: StatusHead,
}

#[derive(Deserialize)]
struct StatusHead {
    state: TaskState,
}

/// The links of a task to its group and its dependencies.
#[derive(Debug)]
pub(super) struct TaskLinks {
    pub(super) id: Arc<str>,
    /// The rank in the order of creation.
    pub(super) number: u64,
    pub(super) task_group_id: Arc<str>,
    pub(super) scheduler_id: Arc<str>,
    pub(super) dependencies: Vec<String>,
    pub(super) expires: Timestamp,
}
