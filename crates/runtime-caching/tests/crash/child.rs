//! The child process, which is killed.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use runtime_caching::{FolderCache, LookupOutcome, NewFolder, Sharing, Uncommitted};
use runtime_gc::{GarbageCollector, GcConfig, Stats, SystemStats};
use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

/// A machine without statistics.
#[derive(Debug)]
pub(crate) struct NoStats;

impl SystemStats for NoStats {
    fn read(&self) -> Stats {
        Stats::default()
    }
}

pub(crate) type Folders = FolderCache<String>;

pub(crate) const EXCLUSIVE: Sharing = Sharing::Exclusive(Uncommitted::Dispose);
pub(crate) const KEEPING: Sharing = Sharing::Exclusive(Uncommitted::Keep);

pub(crate) async fn open(
    folder: &Path,
    name: &str,
    sharing: Sharing,
) -> (Folders, GarbageCollector) {
    let collector = GarbageCollector::new(GcConfig::default(), NoStats);
    let builder = FolderCache::builder(folder.join(name)).sharing(sharing);
    let cache = builder
        .open(collector.tracker())
        .await
        .expect("the root can be opened");
    (cache, collector)
}

/// Writes a folder, which is complete if its two files have the same content.
pub(crate) fn write(folder: &Path, text: &str) -> io::Result<()> {
    fs::write(folder.join("first"), text)?;
    fs::write(folder.join("second"), text)
}

async fn fill(folder: NewFolder) -> io::Result<()> {
    write(folder.path(), "new")
}

/// Records a guarantee that must hold from now on.
fn guarantee(folder: &Path, name: &str) {
    fs::write(folder.join(name), "").expect("the test can write");
}

/// Runs the scenario. Kills the process before the change with this number, or during the removal with this number.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(folder: &Path, number: u64, moment: &str) {
    let killer = Killer {
        remaining: AtomicU64::new(number),
        in_removal: moment == IN_REMOVAL,
    };
    tracing::subscriber::set_global_default(killer).expect("the first subscriber");
    shared(folder).await;
    exclusive(folder).await;
    keeping(folder).await;
}

async fn shared(folder: &Path) {
    let (cache, collector) = open(folder, "shared", Sharing::Shared).await;
    let key = |key: &str| key.to_owned();
    let kept = cache.require(&key("kept"), fill).await.unwrap();
    guarantee(folder, "shared-kept");
    drop(kept);
    drop(cache.require(&key("kept"), fill).await.unwrap());
    let failing = async |folder: NewFolder| {
        write(folder.path(), "half")?;
        Err::<(), _>(io::Error::other("no network"))
    };
    cache.require(&key("failed"), failing).await.unwrap_err();
    let in_use = cache.require(&key("purged"), fill).await.unwrap();
    drop(cache.require(&key("disposed"), fill).await.unwrap());
    cache.purge(|it| it.key == "purged");
    guarantee(folder, "shared-purged");
    collector.collect().await;
    drop(in_use);
    collector.collect().await;
    cache.purge(|it| it.key == "disposed");
    guarantee(folder, "shared-disposed");
    collector.collect().await;
    cache.sweep().await.unwrap();
    abandon_construction(&cache).await;
    collector.collect().await;
}

/// Drops the last waiter of a folder that is half written.
async fn abandon_construction(cache: &Folders) {
    let (others, begun) = (cache.len(), Arc::new(Notify::new()));
    let started = Arc::clone(&begun);
    let half = move |folder: NewFolder| {
        let started = Arc::clone(&started);
        async move {
            fs::write(folder.path().join("first"), "half")?;
            started.notify_one();
            std::future::pending::<io::Result<()>>().await
        }
    };
    let key = "abandoned".to_owned();
    tokio::select! {
        _ = cache.require(&key, half) => unreachable!("it never ends"),
        () = begun.notified() => {}
    }
    // The parent would wait for a child that hangs.
    let limit = Instant::now() + Duration::from_secs(60);
    while cache.len() > others {
        assert!(Instant::now() < limit, "the construction is not cancelled");
        tokio::task::yield_now().await;
    }
}

async fn exclusive(folder: &Path) {
    let (cache, collector) = open(folder, "exclusive", EXCLUSIVE).await;
    let key = |key: &str| key.to_owned();
    let kept = cache.require(&key("kept"), fill).await.unwrap();
    let copy = cache.require(&key("kept"), fill).await.unwrap();
    kept.commit().await.unwrap();
    guarantee(folder, "exclusive-kept");
    copy.poison();
    let changed = cache.require(&key("changed"), fill).await.unwrap();
    changed.commit().await.unwrap();
    let changed = cache.require(&key("changed"), fill).await.unwrap();
    fs::write(changed.path().join("first"), "half").unwrap();
    collector.collect().await;
    fs::write(changed.path().join("second"), "half").unwrap();
    write(changed.path(), "changed").unwrap();
    changed.commit().await.unwrap();
    guarantee(folder, "exclusive-changed");
    let dropped = cache.require(&key("dropped"), fill).await.unwrap();
    fs::write(dropped.path().join("first"), "half").unwrap();
    drop(dropped);
    let purged = cache.require(&key("purged"), fill).await.unwrap();
    cache.purge(|it| it.key == "purged");
    guarantee(folder, "exclusive-purged");
    purged.commit().await.unwrap();
    // The collector evicts an idle folder.
    drop(cache);
    let (cache, collector) = open_again(folder, collector).await;
    guarantee(folder, "exclusive-collected");
    collector.collect_all().await;
    drop(cache);
}

async fn keeping(folder: &Path) {
    let (cache, collector) = open(folder, "keeping", KEEPING).await;
    let key = |key: &str| key.to_owned();
    let kept = cache.require(&key("kept"), fill).await.unwrap();
    guarantee(folder, "keeping-kept");
    fs::write(kept.path().join("first"), "half").unwrap();
    let poisoned = cache.require(&key("disposed"), fill).await.unwrap();
    poisoned.poison();
    guarantee(folder, "keeping-disposed");
    drop(kept);
    collector.collect().await;
    let kept = cache.require(&key("kept"), fill).await.unwrap();
    assert_eq!(kept.lookup(), LookupOutcome::Hit);
    kept.commit().await.unwrap();
    let purged = cache.require(&key("purged"), fill).await.unwrap();
    cache.purge(|it| it.key == "purged");
    guarantee(folder, "keeping-purged");
    drop(purged);
    collector.collect().await;
}

async fn open_again(folder: &Path, collector: GarbageCollector) -> (Folders, GarbageCollector) {
    collector.collect().await;
    drop(collector);
    open(folder, "exclusive", EXCLUSIVE).await
}

/// The moments at which a child is killed.
pub(crate) const BEFORE: &str = "before change";
pub(crate) const IN_REMOVAL: &str = "in removal";

/// Counts the changes on disk that the cache traces, or only the removals of folders, and kills the process at one of
/// them.
struct Killer {
    remaining: AtomicU64,
    in_removal: bool,
}

/// A traced change.
#[derive(Default)]
struct Change {
    kind: String,
    path: PathBuf,
}

impl Visit for Change {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "change" => self.kind = format!("{value:?}").trim_matches('"').to_owned(),
            "path" => self.path = format!("{value:?}").into(),
            _ => {}
        }
    }
}

impl Change {
    /// Removes a part of the folder, as an interrupted removal does.
    fn remove_a_part(&self) {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        if let Some(entry) = entries.min_by_key(fs::DirEntry::file_name) {
            fs::remove_file(entry.path()).expect("the scenario has files only");
        }
    }
}

impl Subscriber for Killer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "runtime_caching::disk"
    }

    fn event(&self, event: &Event<'_>) {
        let mut change = Change::default();
        event.record(&mut change);
        if self.in_removal && change.kind != "remove tree" {
            return;
        }
        if self.remaining.fetch_sub(1, Ordering::SeqCst) == 0 {
            if self.in_removal {
                change.remove_a_part();
            }
            let me = rustix::process::getpid();
            rustix::process::kill_process(me, rustix::process::Signal::KILL)
                .expect("permission to kill itself");
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
