//! The process that is killed.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runtime_caching::{FolderCache, Lookup, NewFolder, Sharing, Uncommitted};
use runtime_gc::{GarbageCollector, GcConfig, Stats, SystemStats};
use tokio::sync::Notify;
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

/// A machine that tells nothing.
#[derive(Debug)]
pub(crate) struct Idle;

impl SystemStats for Idle {
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
    let collector = GarbageCollector::new(GcConfig::default(), Idle);
    let builder = FolderCache::builder(folder.join(name)).sharing(sharing);
    let cache = builder
        .open(collector.tracker())
        .await
        .expect("the root can be opened");
    (cache, collector)
}

/// A folder is whole if its two files say the same.
pub(crate) fn write(folder: &Path, text: &str) -> io::Result<()> {
    fs::write(folder.join("first"), text)?;
    fs::write(folder.join("second"), text)
}

async fn fill(draft: NewFolder) -> io::Result<()> {
    write(draft.path(), "made")
}

/// A promise was kept: from now on it holds whatever happens.
fn promise(folder: &Path, what: &str) {
    fs::write(folder.join(what), "").expect("the test can write");
}

/// Plays the scenario; before the change of this number, the process kills itself.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn play(folder: &Path, kill_before: u64) {
    let killer = Killer {
        left: AtomicU64::new(kill_before),
    };
    tracing::subscriber::set_global_default(killer).expect("it is the first");
    shared(folder).await;
    exclusive(folder).await;
    keeping(folder).await;
}

async fn shared(folder: &Path) {
    let (cache, collector) = open(folder, "shared", Sharing::Shared).await;
    let key = |key: &str| key.to_owned();
    let kept = cache.require(&key("kept"), fill).await.unwrap();
    promise(folder, "shared-kept");
    drop(kept);
    drop(cache.require(&key("kept"), fill).await.unwrap());
    let failing = async |draft: NewFolder| {
        write(draft.path(), "half")?;
        Err::<(), _>(io::Error::other("no network"))
    };
    cache.require(&key("failed"), failing).await.unwrap_err();
    let in_use = cache.require(&key("purged"), fill).await.unwrap();
    drop(cache.require(&key("disposed"), fill).await.unwrap());
    cache.purge(|it| it.key == "purged");
    promise(folder, "shared-purged");
    collector.collect().await;
    drop(in_use);
    collector.collect().await;
    cache.purge(|it| it.key == "disposed");
    promise(folder, "shared-disposed");
    collector.collect().await;
    cache.sweep().await.unwrap();
    abandon_a_construction(&cache).await;
    collector.collect().await;
}

/// The last one who waits for a folder leaves while it is half-written.
async fn abandon_a_construction(cache: &Folders) {
    let (others, begun) = (cache.len(), Arc::new(Notify::new()));
    let tell = Arc::clone(&begun);
    let half = move |draft: NewFolder| {
        let tell = Arc::clone(&tell);
        async move {
            fs::write(draft.path().join("first"), "half")?;
            tell.notify_one();
            std::future::pending::<io::Result<()>>().await
        }
    };
    let key = "abandoned".to_owned();
    tokio::select! {
        _ = cache.require(&key, half) => unreachable!("it never ends"),
        () = begun.notified() => {}
    }
    while cache.len() > others {
        tokio::task::yield_now().await;
    }
}

async fn exclusive(folder: &Path) {
    let (cache, collector) = open(folder, "exclusive", EXCLUSIVE).await;
    let key = |key: &str| key.to_owned();
    let kept = cache.require(&key("kept"), fill).await.unwrap();
    let copy = cache.require(&key("kept"), fill).await.unwrap();
    kept.commit().await.unwrap();
    promise(folder, "exclusive-kept");
    copy.poison();
    let changed = cache.require(&key("changed"), fill).await.unwrap();
    changed.commit().await.unwrap();
    let changed = cache.require(&key("changed"), fill).await.unwrap();
    fs::write(changed.path().join("first"), "half").unwrap();
    collector.collect().await;
    fs::write(changed.path().join("second"), "half").unwrap();
    write(changed.path(), "changed").unwrap();
    changed.commit().await.unwrap();
    promise(folder, "exclusive-changed");
    let dropped = cache.require(&key("dropped"), fill).await.unwrap();
    fs::write(dropped.path().join("first"), "half").unwrap();
    drop(dropped);
    let purged = cache.require(&key("purged"), fill).await.unwrap();
    cache.purge(|it| it.key == "purged");
    promise(folder, "exclusive-purged");
    purged.commit().await.unwrap();
    // An idle folder that the collector chooses.
    drop(cache);
    let (cache, collector) = open_again(folder, collector).await;
    promise(folder, "exclusive-collected");
    collector.collect_all().await;
    drop(cache);
}

async fn keeping(folder: &Path) {
    let (cache, collector) = open(folder, "keeping", KEEPING).await;
    let key = |key: &str| key.to_owned();
    let kept = cache.require(&key("kept"), fill).await.unwrap();
    promise(folder, "keeping-kept");
    fs::write(kept.path().join("first"), "half").unwrap();
    let poisoned = cache.require(&key("disposed"), fill).await.unwrap();
    poisoned.poison();
    promise(folder, "keeping-disposed");
    drop(kept);
    collector.collect().await;
    let kept = cache.require(&key("kept"), fill).await.unwrap();
    assert_eq!(kept.lookup(), Lookup::Hit);
    kept.commit().await.unwrap();
    let purged = cache.require(&key("purged"), fill).await.unwrap();
    cache.purge(|it| it.key == "purged");
    promise(folder, "keeping-purged");
    drop(purged);
    collector.collect().await;
}

async fn open_again(folder: &Path, collector: GarbageCollector) -> (Folders, GarbageCollector) {
    collector.collect().await;
    drop(collector);
    open(folder, "exclusive", EXCLUSIVE).await
}

/// Counts the changes that the cache tells, and kills the process before one of them.
struct Killer {
    left: AtomicU64,
}

impl Subscriber for Killer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "runtime_caching::disk"
    }

    fn event(&self, _: &Event<'_>) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            let me = rustix::process::getpid();
            rustix::process::kill_process(me, rustix::process::Signal::KILL).expect("it may");
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
