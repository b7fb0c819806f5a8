//! The journal of the state: reads the state from it at start, and adds each change to it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use runtime_core::queue::TaskState;

use super::State;
use super::table::JournaledTable;
use super::tasks::TaskLinks;
use super::timers::Timer;
use crate::journal::{DamagedJournal, Entry, Journal, OpenJournalError};
use crate::time::after;

impl State {
    /// Opens or creates the state in a folder. `blobs` is the folder with the uploaded files.
    pub(crate) fn open(
        folder: &Path,
        blobs: &Path,
        resolver_delay: Duration,
        now: Timestamp,
    ) -> Result<Self, OpenJournalError> {
        let (journal, entries) = Journal::open(folder)?;
        let is_new = entries.is_empty();
        let reader = journal.reader();
        let mut state = Self::empty(resolver_delay);
        state.tasks.set_journal(reader.clone());
        reader.for_each(&entries, |entry, value| state.restore(entry, value))?;
        drop(entries);
        // In the order of creation, so that the lists of groups are those from before the restart.
        for task in state.tasks.take_links() {
            state.link(&task);
        }
        state.blobs.set_folder(blobs);
        state.clients.roles.refresh();
        if is_new {
            state.clients.add_initial(now);
        }
        state.journal = Some(journal);
        // Writes the initial clients of a new folder. Otherwise the batch is empty, but a rewrite
        // may be due.
        state.save()?;
        Ok(state)
    }

    fn restore(&mut self, entry: &Entry, value: &[u8]) -> Result<(), DamagedJournal> {
        let damaged = |problem: String| DamagedJournal::new(entry.value.offset, problem);
        let (name, key) = entry.table_and_key()?;
        let (_, tables) = self.journal_and_tables();
        let mut tables = tables.into_iter().filter(|table| table.name() == name);
        let table = tables
            .next()
            .ok_or_else(|| damaged(format!("unknown kind of record `{name}`")))?;
        let restored = table.restore(key, value, entry.value);
        restored.map_err(|error| damaged(error.to_string()))
    }

    /// Adds a restored task to its group, its queue, its dependencies and the timers.
    fn link(&mut self, task: &TaskLinks) {
        let id = &task.id;
        self.task_count = self.task_count.max(task.number.saturating_add(1));
        let group = (
            Arc::clone(&task.task_group_id),
            Arc::clone(&task.scheduler_id),
        );
        self.add_to_group(id, group, task.expires);
        for other in &task.dependencies {
            if **other != **id {
                self.add_dependent(other, id);
            }
        }
        self.link_unresolved(id);
    }

    /// Adds a restored task to its queue and the timers, if it is unresolved and therefore in memory.
    fn link_unresolved(&mut self, id: &Arc<str>) {
        let delay = self.resolver_delay;
        let Some(task) = self.tasks.restored_mut(id) else {
            return;
        };
        let task_id = Arc::clone(id);
        let due = after(task.definition.deadline, delay);
        task.deadline_timer = Some(self.timers.add(due, Timer::DeadlinePassed { task_id }));
        let queue = self.queues.entry(task.definition.task_queue_id.clone());
        let queue = queue.or_default();
        let Some(run) = task.runs.last_mut() else {
            return;
        };
        let (task_id, run_id) = (Arc::clone(id), run.status.run_id);
        if let Some(key) = run.pending {
            self.pending_count = self.pending_count.max(key.1);
            queue.push(key, task_id, run_id);
        } else if run.status.state == TaskState::Running {
            queue.claimed += 1;
            // A claim that expired while the server was down ends with the first run of the timers.
            let taken_until = run.status.taken_until.unwrap_or(Timestamp::MIN);
            let timer = Timer::ClaimExpired { task_id, run_id };
            run.claim_timer = Some(self.timers.add(after(taken_until, delay), timer));
        }
    }

    /// Writes the changes since the last call to the journal, if there is one.
    ///
    /// After an error or a panic, the state in the journal is older than the state in memory, and each later call
    /// fails.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        let (journal, mut tables) = self.journal_and_tables();
        let Some(journal) = journal else {
            tables.into_iter().for_each(JournaledTable::changes_saved);
            return Ok(());
        };
        journal.append(|batch| {
            let mut tables = tables.iter_mut();
            tables.try_for_each(|table| table.write_changes(batch))
        })?;
        tables.iter_mut().for_each(|table| table.changes_saved());
        if journal.is_rewrite_due() {
            let rewritten = journal.rewrite(|rewrite| {
                let mut tables = tables.iter_mut();
                tables.try_for_each(|table| table.write_all(rewrite))
            });
            // An error does not affect the call, because its changes are in the old file, which the journal continues
            // to use.
            let reader = rewritten.ok().map(|()| journal.reader());
            self.tasks.end_rewrite(reader);
        }
        Ok(())
    }

    /// Returns the journal and all tables. They are borrowed together: a journal that is taken out for the write
    /// would be lost by a panic, and the server would continue without one.
    fn journal_and_tables(&mut self) -> (Option<&mut Journal>, [&mut dyn JournaledTable; 14]) {
        let tables: [&mut dyn JournaledTable; 14] = [
            &mut self.tasks,
            &mut self.artifacts.0,
            &mut self.sealed_groups,
            &mut self.workers.0,
            &mut self.index.0,
            &mut self.objects.0,
            &mut self.purges,
            &mut self.secrets,
            &mut self.pools.by_id,
            &mut self.pools.workers,
            &mut self.clients.by_id,
            self.clients.roles.table_mut(),
            &mut self.keys,
            &mut self.blobs.0,
        ];
        (self.journal.as_mut(), tables)
    }
}

#[cfg(test)]
impl State {
    /// Adds a change whose write panics.
    pub(crate) fn add_panicking_change(&mut self) {
        self.sealed_groups = super::Table::new(crate::journal::PANICKING_TABLE);
        self.sealed_groups.insert(String::new(), Timestamp::MIN);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn journal_survives_a_panic() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let open = || State::open(folder.path(), folder.path(), Duration::ZERO, Timestamp::MIN);
        let mut state = open()?;
        state.key("first");
        state.save()?;
        state.key("second");
        state.add_panicking_change();
        assert!(catch_unwind(AssertUnwindSafe(|| state.save())).is_err());
        assert!(state.save().is_err(), "a change that is not stored");
        assert!(matches!(open(), Err(OpenJournalError::InUse)));
        drop(state);
        let state = open()?;
        assert!(state.keys.contains_key("first") && !state.keys.contains_key("second"));
        Ok(())
    }
}
