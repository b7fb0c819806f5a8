//! The index: names for tasks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::table::Table;
use crate::definition::Definition;
use crate::time::{self, as_millis};

/// An entry of the index.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IndexEntry {
    pub(crate) namespace: String,
    pub(crate) task_id: String,
    pub(crate) rank: Value,
    pub(crate) data: Value,
    #[serde(serialize_with = "as_millis")]
    pub(crate) expires: Timestamp,
}

impl IndexEntry {
    /// Creates an entry of rank 0 without data.
    pub(crate) fn new(namespace: &str, task_id: &str, expires: Timestamp) -> Self {
        Self {
            namespace: namespace.to_owned(),
            task_id: task_id.to_owned(),
            rank: json!(0),
            data: json!({}),
            expires,
        }
    }

    fn outranks(&self, other: &Self) -> bool {
        let rank = |entry: &Self| entry.rank.as_f64().unwrap_or_default();
        rank(self) > rank(other)
    }
}

/// The entries by namespace.
#[derive(Debug)]
pub(crate) struct TaskIndex(pub(super) Table<String, IndexEntry>);

impl TaskIndex {
    /// Inserts an entry unless the existing one has a higher rank, and returns the one that stays.
    pub(crate) fn insert(&mut self, new: IndexEntry) -> IndexEntry {
        match self.0.get(&new.namespace) {
            // With equal ranks the later task wins.
            Some(old) if old.outranks(&new) => old.clone(),
            _ => {
                self.0.insert(new.namespace.clone(), new.clone());
                new
            }
        }
    }

    /// Inserts a completed task at its `index.` routes.
    ///
    /// The real index listens to the messages of the queue instead, and so is a moment later.
    pub(super) fn add_completed(&mut self, task_id: &str, task: &Definition) {
        let options = &task.extra["index"];
        let expires = options["expires"].as_str().and_then(time::parse);
        let namespaces = task.routes.iter();
        for namespace in namespaces.filter_map(|route| route.strip_prefix("index.")) {
            let mut entry = IndexEntry::new(namespace, task_id, expires.unwrap_or(task.expires));
            if options["rank"].is_number() {
                entry.rank = options["rank"].clone();
            }
            if options["data"].is_object() {
                entry.data = options["data"].clone();
            }
            self.insert(entry);
        }
    }

    /// Returns the entry of a namespace, unless it has expired.
    pub(crate) fn get(&self, namespace: &str, now: Timestamp) -> Option<&IndexEntry> {
        let entry = self.0.get(namespace);
        entry.filter(|entry| entry.expires > now)
    }

    pub(crate) fn remove(&mut self, namespace: &str) {
        self.0.remove(&namespace.to_owned());
    }

    /// Returns the entries below a namespace that have not expired, with the rest of their name.
    pub(crate) fn below<'a>(
        &'a self,
        namespace: &str,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a str, &'a IndexEntry)> {
        let prefix = format!("{namespace}.");
        let live = self.0.values().filter(move |entry| entry.expires > now);
        live.filter_map(move |entry| Some((entry.namespace.strip_prefix(&prefix)?, entry)))
    }
}
