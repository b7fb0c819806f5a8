//! Tables: maps whose changes are recorded for the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::journal::{Batch, Rewrite, ValueRange};

/// A part of the state that is stored in the journal.
pub(super) trait JournaledTable {
    /// Returns the name in the journal.
    fn name(&self) -> &'static str;

    /// Adds an entity that was read from the journal. Key and value are JSON.
    fn restore(&mut self, key: &[u8], value: &[u8], position: ValueRange)
    -> serde_json::Result<()>;

    /// Adds the entities that have changed and are not saved to a batch.
    fn write_changes(&mut self, batch: &mut Batch) -> io::Result<()>;

    /// Adds all entities to the new file of a rewrite, which may still fail.
    fn write_all(&mut self, rewrite: &mut Rewrite) -> io::Result<()>;

    /// Marks all changes as saved. Called after the batch was written, or without a journal.
    fn changes_saved(&mut self);
}

/// A map whose changes are recorded.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    name: &'static str,
    entries: BTreeMap<K, V>,
    changed: BTreeSet<K>,
}

impl<K, V> Deref for Table<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.entries
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            entries: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// Returns an entity for a change.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let value = self.entries.get_mut(key)?;
        self.changed.insert(key.clone());
        Some(value)
    }

    /// Returns an entity for a change, and inserts it if necessary.
    pub(crate) fn get_or_insert_with(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        self.changed.insert(key.clone());
        self.entries.entry(key).or_insert_with(new)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.changed.insert(key.clone());
        self.entries.insert(key, value)
    }

    /// Returns an entity for a change that is not stored, unless a later one of the same entity is.
    pub(super) fn get_mut_unrecorded(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    /// Returns all values for a change that is not stored.
    pub(super) fn restored_values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut()
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let removed = self.entries.remove(key)?;
        self.changed.insert(key.clone());
        Some(removed)
    }
}

impl<K, V> JournaledTable for Table<K, V>
where
    K: Ord + Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn restore(&mut self, key: &[u8], value: &[u8], _: ValueRange) -> serde_json::Result<()> {
        let (key, value) = (serde_json::from_slice(key)?, serde_json::from_slice(value)?);
        self.entries.insert(key, value);
        Ok(())
    }

    fn write_changes(&mut self, batch: &mut Batch) -> io::Result<()> {
        // The value is read here and not at the change: a key that a call changes several times has
        // one record, with its last value. For one that was inserted and removed in between, the
        // record removes nothing.
        for key in &self.changed {
            match self.entries.get(key) {
                Some(value) => drop(batch.put(self.name, key, value)?),
                None => batch.remove(self.name, key)?,
            }
        }
        Ok(())
    }

    fn write_all(&mut self, rewrite: &mut Rewrite) -> io::Result<()> {
        for (key, value) in &self.entries {
            rewrite.batch.put(self.name, key, value)?;
            rewrite.flush_if_large()?;
        }
        Ok(())
    }

    fn changes_saved(&mut self) {
        self.changed.clear();
    }
}
