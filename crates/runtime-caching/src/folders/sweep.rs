//! Bringing a root and what is known about it back together.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::disk;
use super::record::Record;
use super::root::{Owned, Root};

/// What was found in a root, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepReport {
    /// Folders that are in the cache now.
    pub adopted: usize,
    /// Folders that were being made or changed when their process ended. They go.
    pub unfinished: usize,
    /// Other folders that have no record. They go.
    pub unknown: usize,
    /// Records whose folder is gone. They are removed.
    pub missing: usize,
    /// Records that cannot be read. They are removed, and their folders go.
    pub unreadable: usize,
    /// What earlier processes did not get round to remove. It goes.
    pub trash: usize,
}

impl SweepReport {
    /// Whether all was as it should be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let adopted = self.adopted;
        *self
            == Self {
                adopted,
                ..Self::default()
            }
    }
}

impl fmt::Display for SweepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "adopted {}, removing {} unfinished, {} unknown, {} in the trash; records: {} without a folder, {} unreadable",
            self.adopted, self.unfinished, self.unknown, self.trash, self.missing, self.unreadable
        )
    }
}

/// A folder with its record, and for how long it was not used.
pub(super) struct Found<K> {
    pub(super) owned: Owned,
    pub(super) key: K,
    pub(super) record: Record,
    pub(super) idle: Duration,
}

/// A sweep under way. What somebody in this process is in charge of is left alone.
///
/// Names are listed before it is asked who is in charge of them. Whoever makes something is in charge
/// first, and whoever removes something is in charge to the end, so nothing of theirs looks left over.
pub(super) struct Sweep<'a> {
    root: &'a Arc<Root>,
    pub(super) swept: SweepReport,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(root: &'a Arc<Root>) -> Self {
        let swept = SweepReport::default();
        Self { root, swept }
    }

    /// Finds the folders that `read` has a key for. Everything else that nobody is in charge of goes.
    pub(super) fn run<K>(
        &mut self,
        read: impl Fn(&Record) -> Option<K>,
    ) -> io::Result<Vec<Found<K>>> {
        let unfinished = self.take_leases()?;
        let folders = disk::names(&self.root.folders())?;
        let there: HashSet<&str> = folders.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        for id in self.left_over(disk::names(&self.root.index())?) {
            found.extend(self.adopt(&id, &there, &read)?);
        }
        self.throw_away(folders, &unfinished);
        self.empty_trash()?;
        Ok(found)
    }

    /// Removes leases, and returns their ids.
    fn take_leases(&mut self) -> io::Result<HashSet<String>> {
        let leases = self.left_over(disk::names(&self.root.leases())?);
        for name in &leases {
            disk::remove_file(&self.root.leases().join(name))?;
        }
        Ok(leases.into_iter().collect())
    }

    fn adopt<K>(
        &mut self,
        id: &str,
        there: &HashSet<&str>,
        read: impl Fn(&Record) -> Option<K>,
    ) -> io::Result<Option<Found<K>>> {
        let path = self.root.index().join(id);
        if !there.contains(id) {
            self.swept.missing += 1;
            return disk::remove_file(&path).map(|()| None);
        }
        let readable = read_record(&path, read);
        let Some((key, record, idle)) = readable else {
            self.swept.unreadable += 1;
            return disk::remove_file(&path).map(|()| None);
        };
        let owned = self.root.own(id.to_owned());
        Ok(Some(Found {
            owned,
            key,
            record,
            idle,
        }))
    }

    fn throw_away(&mut self, folders: Vec<String>, unfinished: &HashSet<String>) {
        for id in self.left_over(folders) {
            if unfinished.contains(&id) {
                self.swept.unfinished += 1;
            } else {
                self.swept.unknown += 1;
            }
            let path = self.root.folders().join(&id);
            self.root.throw_away(self.root.own(id), path);
        }
    }

    fn empty_trash(&mut self) -> io::Result<()> {
        for name in self.left_over(disk::names(&self.root.trash())?) {
            self.swept.trash += 1;
            let path = self.root.trash().join(&name);
            self.root.throw_away(self.root.own(name), path);
        }
        Ok(())
    }

    fn left_over(&self, names: Vec<String>) -> Vec<String> {
        let mut names = names;
        names.retain(|name| !self.root.is_owned(name));
        names
    }
}

fn read_record<K>(
    path: &Path,
    read: impl Fn(&Record) -> Option<K>,
) -> Option<(K, Record, Duration)> {
    let (record, idle) = Record::read(path)
        .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "cannot be read"))
        .ok()?;
    let key = read(&record);
    if key.is_none() {
        tracing::warn!(path = %path.display(), key = %record.key, "has a key of another kind");
    }
    Some((key?, record, idle))
}
