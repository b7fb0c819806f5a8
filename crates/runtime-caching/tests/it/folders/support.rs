//! A root in a temporary folder, and a collector.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime_caching::{
    FolderCache, FolderHandle, NewFolder, OpenCacheError, RequireError, Sharing, Uncommitted,
};
use runtime_gc::{GarbageCollector, GcConfig, Stats, SystemStats};

use crate::support::LoopLimit;

pub(crate) const EXCLUSIVE: Sharing = Sharing::Exclusive(Uncommitted::Dispose);

/// A machine without statistics.
#[derive(Debug)]
struct NoStats;

impl SystemStats for NoStats {
    fn read(&self) -> Stats {
        Stats::default()
    }
}

pub(crate) struct Fixture {
    folder: tempfile::TempDir,
    pub(crate) collector: GarbageCollector,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            collector: GarbageCollector::new(GcConfig::default(), NoStats),
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) async fn try_open(
        &self,
        sharing: Sharing,
    ) -> Result<FolderCache<String>, OpenCacheError> {
        let builder = FolderCache::builder(self.root()).sharing(sharing);
        builder.open(self.collector.tracker()).await
    }

    pub(crate) async fn open(&self, sharing: Sharing) -> FolderCache<String> {
        self.try_open(sharing)
            .await
            .expect("the root can be opened")
    }

    /// Returns the names in a part of the root.
    pub(crate) fn names(&self, part: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root().join(part)).expect("the part exists");
        let names = entries.map(|entry| entry.expect("it can be listed").file_name());
        let mut names: Vec<_> = names
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Returns the number of files in the index, the leases, the folders and the trash.
    pub(crate) fn counts(&self) -> [usize; 4] {
        ["index", "leases", "folders", "trash"].map(|part| self.names(part).len())
    }

    /// Returns the path of the only record in the index.
    pub(crate) fn record(&self) -> PathBuf {
        let names = self.names("index");
        assert_eq!(names.len(), 1, "{names:?}");
        self.root().join("index").join(&names[0])
    }
}

/// Fills a folder with one file.
pub(crate) async fn fill(folder: NewFolder) -> io::Result<()> {
    write(folder.path(), "whole")
}

pub(crate) fn write(folder: &Path, text: &str) -> io::Result<()> {
    fs::write(folder.join("content"), text)
}

pub(crate) fn read(handle: &FolderHandle<String>) -> String {
    fs::read_to_string(handle.path().join("content")).expect("the folder was filled")
}

pub(crate) async fn get(
    cache: &FolderCache<String>,
    key: &str,
) -> Result<FolderHandle<String>, RequireError> {
    cache.require(&key.to_owned(), fill).await
}

/// Creates a chain of folders in `folder`, from the inside out, since the path of the innermost one would be too long.
pub(crate) fn nest(folder: &Path, depth: usize) -> io::Result<()> {
    let (chain, outer) = (folder.join("d"), folder.join("outer"));
    fs::create_dir(&chain)?;
    for _ in 1..depth {
        fs::create_dir(&outer)?;
        fs::rename(&chain, outer.join("d"))?;
        fs::rename(&outer, &chain)?;
    }
    Ok(())
}

/// Lets other tasks and blocking threads run until a condition holds.
pub(crate) async fn settle_until(condition: impl Fn() -> bool) {
    let limit = LoopLimit::new();
    while !condition() {
        limit.check();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
