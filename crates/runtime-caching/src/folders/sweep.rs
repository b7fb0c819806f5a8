//! Sweeps, which compare a root on disk with the ids that this process owns.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::disk;
use super::leftover::Leftover;
use super::record::Record;
use super::root::{OwnedId, Root};

/// The results of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepReport {
    /// Folders that were added to the cache.
    pub adopted: usize,
    /// Removed folders that were under construction or in exclusive use when their process ended.
    pub unfinished: usize,
    /// Other removed folders without a record.
    pub unknown: usize,
    /// Removed records without a folder.
    pub missing: usize,
    /// Removed records, and their folders, that cannot be read.
    pub unreadable: usize,
    /// Removed contents of the trash.
    pub trash: usize,
}

impl SweepReport {
    /// Returns whether nothing was removed.
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

/// A folder with a readable record.
pub(super) struct AdoptableFolder<K> {
    pub(super) id: OwnedId,
    pub(super) key: K,
    pub(super) record: Record,
    /// The time since the last use.
    pub(super) idle: Duration,
}

/// A sweep in progress, which ignores all ids that this process owns.
///
/// Each folder is listed before the owned ids are checked. An id is owned before its files are created and until
/// they are removed, so files of this process never appear as leftovers. In the reverse order, a file created
/// between the two steps would be removed.
pub(super) struct Sweep<'a> {
    root: &'a Arc<Root>,
    pub(super) report: SweepReport,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(root: &'a Arc<Root>) -> Self {
        let report = SweepReport::default();
        Self { root, report }
    }

    /// Returns the folders for whose record `read_key` returns a key, and discards the other leftovers.
    pub(super) fn run<K>(
        &mut self,
        read_key: impl Fn(&Record) -> Option<K>,
    ) -> io::Result<Vec<AdoptableFolder<K>>> {
        // Leases of dead processes: a folder that they had in use may be half modified.
        let unfinished = self.remove_leases()?;
        let folders = disk::names(&self.root.folders())?;
        let existing: HashSet<&str> = folders.iter().map(String::as_str).collect();
        let mut adoptable = Vec::new();
        for id in self.leftovers(disk::names(&self.root.index())?) {
            adoptable.extend(self.check_record(&id, &existing, &read_key)?);
        }
        // After the records: adopted folders are owned by now, so that only the others are left
        // over.
        self.discard_folders(folders, &unfinished);
        self.discard_trash()?;
        Ok(adoptable)
    }

    /// Removes leases, and returns their ids.
    fn remove_leases(&mut self) -> io::Result<HashSet<String>> {
        let leases = self.leftovers(disk::names(&self.root.leases())?);
        for name in &leases {
            // After a power loss, a record may be in both places. The lease counts, and is removed last in case of a crash.
            disk::remove_file(&self.root.index().join(name))?;
            disk::remove_file(&self.root.leases().join(name))?;
        }
        Ok(leases.into_iter().collect())
    }

    /// Takes ownership of the folder of a record, or removes the record.
    fn check_record<K>(
        &mut self,
        id: &str,
        existing: &HashSet<&str>,
        read_key: impl Fn(&Record) -> Option<K>,
    ) -> io::Result<Option<AdoptableFolder<K>>> {
        let path = self.root.index().join(id);
        if !existing.contains(id) {
            self.report.missing += 1;
            return disk::remove_file(&path).map(|()| None);
        }
        let Some((key, record, idle)) = read_record(&path, read_key) else {
            self.report.unreadable += 1;
            return disk::remove_file(&path).map(|()| None);
        };
        Ok(Some(AdoptableFolder {
            id: self.root.own(id.to_owned()),
            key,
            record,
            idle,
        }))
    }

    fn discard_folders(&mut self, folders: Vec<String>, unfinished: &HashSet<String>) {
        for id in self.leftovers(folders) {
            if unfinished.contains(&id) {
                self.report.unfinished += 1;
            } else {
                self.report.unknown += 1;
            }
            let path = self.root.folders().join(&id);
            Leftover::discard(self.root, self.root.own(id), path);
        }
    }

    fn discard_trash(&mut self) -> io::Result<()> {
        for name in self.leftovers(disk::names(&self.root.trash())?) {
            self.report.trash += 1;
            let path = self.root.trash().join(&name);
            Leftover::discard(self.root, self.root.own(name), path);
        }
        Ok(())
    }

    /// Returns the names that this process does not own.
    fn leftovers(&self, mut names: Vec<String>) -> Vec<String> {
        names.retain(|name| !self.root.is_owned(name));
        names
    }
}

fn read_record<K>(
    path: &Path,
    read_key: impl Fn(&Record) -> Option<K>,
) -> Option<(K, Record, Duration)> {
    let (record, idle) = Record::read(path)
        .inspect_err(
            |error| tracing::warn!(path = %path.display(), %error, "cannot read a cache record"),
        )
        .ok()?;
    let key = read_key(&record);
    if key.is_none() {
        tracing::warn!(path = %path.display(), key = %record.key, "cache record has a key of another type");
    }
    Some((key?, record, idle))
}
