//! The model for folders, whose root is closed and opened again while tasks run.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime_caching::{FolderCache, FolderHandle, NewFolder, OpenCacheError, Sharing, Uncommitted};
use runtime_gc::{GarbageCollector, GcConfig, Threshold};
use tokio::task::{JoinSet, yield_now};

use super::ops::{KEYS, Op, Release};
use super::world::{NoStats, turns};
use crate::support::LoopLimit;

/// The model of all folders, across restarts.
#[derive(Debug, Default)]
struct Model {
    /// Incremented by each folder, purge and release.
    clock: AtomicU64,
    /// For each key, the start of the last purge that has ended.
    purged: [AtomicU64; KEYS as usize],
    folders: Mutex<HashMap<u64, Arc<FolderModel>>>,
    /// Folders that users deleted, or are about to delete.
    deleted: Mutex<HashSet<PathBuf>>,
    random: AtomicU64,
}

/// The model of one folder.
#[derive(Debug)]
struct FolderModel {
    constructed_at: u64,
    users: AtomicUsize,
    /// The time at which it was poisoned or deleted.
    spoiled: AtomicU64,
}

/// A user in the model, removed even if its task is aborted.
struct UserGuard(Arc<FolderModel>);

impl Drop for UserGuard {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, SeqCst);
    }
}

impl Model {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst) + 1
    }

    fn random(&self, most: u64) -> u64 {
        let seed = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, SeqCst);
        fastrand::Rng::with_seed(seed).u64(..most)
    }

    /// Returns the model of a folder, or `None` if another user is deleting it.
    fn known(&self, folder: &Path) -> Option<Arc<FolderModel>> {
        let stamp = match fs::read_to_string(folder.join("stamp")) {
            Ok(stamp) => stamp,
            Err(error) => {
                assert!(
                    self.is_deleted(folder),
                    "returned before it was complete: {error}"
                );
                return None;
            }
        };
        let stamp = stamp.parse().expect("a stamp of this test");
        Some(Arc::clone(&self.folders.lock().unwrap()[&stamp]))
    }

    fn is_deleted(&self, folder: &Path) -> bool {
        self.deleted.lock().unwrap().contains(folder)
    }
}

async fn fill(model: Arc<Model>, new: NewFolder) -> io::Result<()> {
    let constructed_at = model.tick();
    for i in 0..20 {
        fs::write(new.path().join(format!("file-{i}")), "x")?;
    }
    new.progress(1, Some(2), "files");
    for _ in 0..model.random(5) {
        yield_now().await;
    }
    match model.random(10) {
        0 => return Err(io::Error::other("no network")),
        1 => std::panic::resume_unwind(Box::new("a constructor that panics")),
        _ => {}
    }
    let known = FolderModel {
        constructed_at,
        users: AtomicUsize::new(0),
        spoiled: AtomicU64::new(u64::MAX),
    };
    model
        .folders
        .lock()
        .unwrap()
        .insert(constructed_at, Arc::new(known));
    // Written last, so that a folder without it is incomplete.
    fs::write(new.path().join("stamp"), constructed_at.to_string())
}

/// One process that opens the root.
#[derive(Clone)]
struct Session {
    sharing: Sharing,
    cache: FolderCache<u8>,
    collector: GarbageCollector,
    model: Arc<Model>,
}

/// Runs several sessions on one root, each of which ends while tasks still use folders.
pub(crate) async fn run(sharing: Sharing, seed: u64, sessions: Vec<Vec<Vec<Op>>>) {
    let root = tempfile::tempdir().expect("a temporary folder");
    let model = Arc::new(Model {
        random: AtomicU64::new(seed),
        ..Model::default()
    });
    for tasks in sessions {
        let session = Session::open(root.path(), sharing, &model).await;
        session.run(tasks).await;
    }
    let session = Session::open(root.path(), sharing, &model).await;
    session.cache.purge_all();
    let limit = LoopLimit::new();
    while session.collector.tracker().count() > 0 {
        limit.check();
        session.collector.collect_all().await;
    }
    for part in ["index", "leases", "folders", "trash"] {
        let left = fs::read_dir(root.path().join(part)).expect("the part exists");
        assert_eq!(left.count(), 0, "leaked in {part}");
    }
}

impl Session {
    async fn open(root: &Path, sharing: Sharing, model: &Arc<Model>) -> Self {
        let mut config = GcConfig::default();
        config.limits.max_count = Some(Threshold::at(3).target(1));
        config.retry_initial_delay = Duration::from_millis(1);
        config.retry_max_delay = Duration::from_millis(2);
        // Short, so that some disposals are slow or fail.
        config.dispose_soft_timeout = Duration::from_millis(1);
        config.dispose_timeout = Duration::from_millis(4);
        let collector = GarbageCollector::new(config, NoStats);
        let limit = LoopLimit::new();
        let cache = loop {
            limit.check();
            let builder = FolderCache::builder(root).sharing(sharing);
            match builder.open(collector.tracker()).await {
                Ok(cache) => break cache,
                // The previous session is still removing folders.
                Err(OpenCacheError::Locked { .. }) => {
                    tokio::time::sleep(Duration::from_millis(1)).await
                }
                Err(error) => panic!("{error}"),
            }
        };
        Self {
            sharing,
            cache,
            collector,
            model: Arc::clone(model),
        }
    }

    /// Runs all tasks concurrently, and aborts the remaining ones after a random time.
    async fn run(self, tasks: Vec<Vec<Op>>) {
        let background = self.collector.start();
        let mut running = JoinSet::new();
        for ops in tasks {
            let session = self.clone();
            running.spawn(async move {
                for op in ops {
                    session.perform(op).await;
                }
            });
        }
        let end = tokio::time::sleep(Duration::from_millis(50 + self.model.random(200)));
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                ended = running.join_next() => match ended {
                    Some(ended) => ended.expect("an invariant was violated"),
                    None => break,
                },
            }
        }
        // Folders in use must stay purged in the next session, even though this one ends at once.
        self.purge(0..=KEYS / 2);
        running.abort_all();
        while let Some(ended) = running.join_next().await {
            assert!(
                !ended.is_err_and(|error| error.is_panic()),
                "an invariant was violated"
            );
        }
        drop(background);
    }

    async fn perform(&self, op: Op) {
        match op {
            Op::Use {
                key,
                turns,
                release,
            } => self.use_key(key, turns, release).await,
            Op::CancelRequest { key, turns: most } => {
                tokio::select! {
                    biased;
                    _ = self.require(key) => {}
                    () = turns(most) => {}
                }
            }
            Op::Break { key } => {
                if let Some((handle, known)) = self.require(key).await {
                    let path = handle.path().to_owned();
                    self.model.deleted.lock().unwrap().insert(path);
                    // Fails if another user deletes it, too, or the cache removes it.
                    let _ = fs::remove_dir_all(handle.path());
                    known.spoiled.fetch_min(self.model.tick(), SeqCst);
                }
            }
            Op::Purge { key } => self.purge(key..=key),
            Op::PurgeAll => self.purge(0..=KEYS - 1),
            Op::Collect => drop(self.collector.collect().await),
            Op::CollectAll => drop(self.collector.collect_all().await),
            Op::CancelCollection { turns: most } => {
                tokio::select! {
                    _ = self.collector.collect_all() => {}
                    () = turns(most) => {}
                }
            }
            Op::Yield { turns: most } => turns(most).await,
        }
    }

    /// Requests a folder and checks it.
    async fn require(&self, key: u8) -> Option<(FolderHandle<u8>, Arc<FolderModel>)> {
        let started = self.model.clock.load(SeqCst);
        let purged = self.model.purged[usize::from(key)].load(SeqCst);
        let model = Arc::clone(&self.model);
        let fill = move |new| fill(Arc::clone(&model), new);
        // Constructions fail at random.
        let handle = self.cache.require(&key, fill).await.ok()?;
        let Some(known) = self.model.known(handle.path()) else {
            assert_eq!(
                self.sharing,
                Sharing::Shared,
                "returned after it was deleted"
            );
            return None;
        };
        assert!(
            known.constructed_at > purged,
            "returned after it was purged"
        );
        assert!(
            known.spoiled.load(SeqCst) > started,
            "returned after it was spoiled"
        );
        Some((handle, known))
    }

    async fn use_key(&self, key: u8, most: u8, release: Release) {
        let Some((handle, known)) = self.require(key).await else {
            return;
        };
        let is_exclusive = self.sharing != Sharing::Shared;
        let others = known.users.fetch_add(1, SeqCst);
        let user = UserGuard(Arc::clone(&known));
        assert!(
            !is_exclusive || others == 0,
            "an exclusive folder has two users"
        );
        let half = handle.path().join("half");
        if self.sharing == Sharing::Exclusive(Uncommitted::Dispose) {
            assert!(!half.exists(), "returned half modified");
            fs::write(&half, "").expect("it exists");
        }
        tokio::time::sleep(Duration::from_millis(most.into())).await;
        let is_there = handle.path().join("stamp").exists();
        assert!(
            is_there || self.model.is_deleted(handle.path()),
            "removed while in use"
        );
        drop(user);
        match release {
            Release::Drop => drop(handle),
            Release::Commit => {
                if is_exclusive {
                    let _ = fs::remove_file(&half);
                }
                handle.commit().await.expect("the commit succeeds");
            }
            Release::Poison => {
                handle.poison();
                known.spoiled.fetch_min(self.model.tick(), SeqCst);
            }
        }
    }

    fn purge(&self, keys: RangeInclusive<u8>) {
        let created = self.model.tick();
        self.cache.purge(|it| keys.contains(it.key));
        for key in keys {
            self.model.purged[usize::from(key)].fetch_max(created, SeqCst);
        }
    }
}
