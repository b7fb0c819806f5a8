//! The cost of a hit compared with a concurrent map, the latency of waiters, and the time to open a root.

#[path = "cache/growth.rs"]
mod growth;

use std::cell::{Cell, LazyCell};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bench_harness::{AtLeast, AtMost, Bench, time_ms, time_us};
use parking_lot::Mutex;
use runtime_caching::{
    Cache, ConstructionContext, FolderCache, NewFolder, Resource, Sharing, Uncommitted,
};
use runtime_gc::{DisposeError, Footprint, ResourceTracker, Size};
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    let runtime = &Builder::new_multi_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    Bench::main("cache", |bench| {
        hits(bench, runtime);
        many_tasks(bench, runtime);
        waiters(bench, runtime);
        purge_one(bench, runtime);
        new_folders(bench, runtime);
        open_root(bench, runtime);
        growth::calls(bench, runtime);
        growth::folders(bench, runtime);
    })
}

#[derive(Debug)]
struct Item(u64);

#[async_trait]
impl Resource for Item {
    fn footprint(&self) -> Footprint {
        Footprint::memory(Size::Known(8))
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        Ok(())
    }
}

type Items = Cache<u64, Item>;

/// Creates a cache with the keys from 0 to `count`.
fn filled(runtime: &Runtime, count: u64) -> Items {
    let construct = |key: u64, _: ConstructionContext| async move { io::Result::Ok(Item(key)) };
    let cache = Cache::new(
        "items",
        Sharing::Shared,
        construct,
        ResourceTracker::detached(),
    );
    runtime.block_on(async {
        for key in 0..count {
            cache
                .require(&key)
                .await
                .expect("the construction succeeds");
        }
    });
    cache
}

/// Returns the nanoseconds for a hit: `require`, a read of the resource, and the drop.
fn hit(runtime: &Runtime, cache: &Items, keys: impl Iterator<Item = u64>, hits: u64) -> f64 {
    let start = Instant::now();
    runtime.block_on(async {
        for key in keys {
            let handle = cache.require(&key).await.expect("it exists");
            assert_eq!(std::hint::black_box(handle.0), key);
        }
    });
    start.elapsed().as_nanos() as f64 / hits as f64
}

/// Returns a few keys in turn, which are spread over all keys.
fn hot_keys(count: u64, hits: u64) -> impl Iterator<Item = u64> {
    let hot = count.min(64);
    (0..hits).map(move |hit| hit % hot * (count / hot))
}

/// Returns all keys in turn, in an order in which consecutive entries are not adjacent in memory.
fn keys(count: u64, hits: u64) -> impl Iterator<Item = u64> {
    // Coprime with powers of ten, and not close to a multiple of one.
    const STRIDE: u64 = 2_654_435_761;
    (0..hits).map(move |hit| hit.wrapping_mul(STRIDE) % count)
}

/// Returns the nanoseconds for a hit of an `Arc` in quick_cache.
fn peer_hit(cache: &quick_cache::sync::Cache<u64, Arc<Item>>, count: u64, hits: u64) -> f64 {
    let start = Instant::now();
    for key in keys(count, hits) {
        let item = cache.get(&key).expect("it exists");
        assert_eq!(std::hint::black_box(item.0), key);
    }
    start.elapsed().as_nanos() as f64 / hits as f64
}

/// The cost of a hit must not depend on the number of entries.
///
/// The first cases use 64 of the entries, because tasks use the same few caches repeatedly. The other cases use
/// all entries in turn. These do not fit into the processor's caches, and any map has to wait for memory, so
/// these cases are compared with another map of the same size.
fn hits(bench: &mut Bench, runtime: &Runtime) {
    // Short rounds, most of which are not interrupted by other processes.
    let (hits, rounds) = (20_000, bench.pick(201, 101));
    // Filled by the first round, and not at all if other cases are selected.
    let one = LazyCell::new(|| filled(runtime, 1));
    for count in [1000, 100_000] {
        let many = LazyCell::new(|| filled(runtime, count));
        bench
            .case(
                &format!("hit among {count} entries, 64 of them in use"),
                "ns",
            )
            .bar(AtMost(2.0))
            .rounds(rounds)
            .peer("among 1", || hit(runtime, &one, hot_keys(1, hits), hits))
            .ours(|| hit(runtime, &many, hot_keys(count, hits), hits));
    }
    for count in [1, 1000, 10_000, 100_000] {
        let ours = LazyCell::new(|| filled(runtime, count));
        let peer = LazyCell::new(|| {
            let peer = quick_cache::sync::Cache::new(2 * count as usize);
            (0..count).for_each(|key| peer.insert(key, Arc::new(Item(key))));
            peer
        });
        bench
            .case(&format!("hit among {count} entries, each in turn"), "ns")
            .bar(AtMost(2.0))
            .rounds(rounds)
            .peer("get of an Arc in quick_cache", || {
                peer_hit(&peer, count, hits)
            })
            .ours(|| hit(runtime, &ours, keys(count, hits), hits));
    }
}

/// Returns the total hits per second of a number of concurrent tasks, on 1000 keys.
fn throughput(runtime: &Runtime, cache: &Items, tasks: u64, hits: u64) -> f64 {
    let start = Instant::now();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..tasks)
            .map(|task| {
                let cache = cache.clone();
                tokio::spawn(async move {
                    for key in keys(1000, hits / tasks) {
                        let key = (key + task) % 1000;
                        let handle = cache.require(&key).await.expect("it exists");
                        std::hint::black_box(handle.0);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
    hits as f64 / start.elapsed().as_secs_f64()
}

fn many_tasks(bench: &mut Bench, runtime: &Runtime) {
    let (hits, rounds) = (200_000, bench.pick(51, 25));
    let cache = LazyCell::new(|| filled(runtime, 1000));
    bench
        .case("hits of 64 tasks", "hits/s")
        .bar(AtLeast(1.0))
        .rounds(rounds)
        .peer("1 task", || throughput(runtime, &cache, 1, hits))
        .ours(|| throughput(runtime, &cache, 64, hits));
}

/// Measures the time from the end of the constructor to the last of 1000 handles.
fn waiters(bench: &mut Bench, runtime: &Runtime) {
    bench
        .case("1000 waiters on one key, after the constructor", "ms")
        .bar(AtMost(5.0))
        .ours(|| {
            let constructed = Arc::new(AtomicUsize::new(0));
            let ended = Arc::new(Mutex::new(None));
            let construct = {
                let (constructed, ended) = (Arc::clone(&constructed), Arc::clone(&ended));
                move |key: u64, _: ConstructionContext| {
                    constructed.fetch_add(1, Ordering::SeqCst);
                    let ended = Arc::clone(&ended);
                    async move {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        *ended.lock() = Some(Instant::now());
                        io::Result::Ok(Item(key))
                    }
                }
            };
            let cache = Cache::new(
                "items",
                Sharing::Shared,
                construct,
                ResourceTracker::detached(),
            );
            let time = runtime.block_on(async {
                let waiters: Vec<_> = (0..1000)
                    .map(|_| {
                        let cache = cache.clone();
                        tokio::spawn(async move { cache.require(&1).await.map(drop) })
                    })
                    .collect();
                for waiter in waiters {
                    waiter
                        .await
                        .expect("no panic")
                        .expect("the construction succeeds");
                }
                ended.lock().expect("it was constructed").elapsed()
            });
            assert_eq!(
                constructed.load(Ordering::SeqCst),
                1,
                "one construction for all"
            );
            time.as_secs_f64() * 1e3
        });
}

/// The cost of a purge of one key must not depend on the number of entries.
fn purge_one(bench: &mut Bench, runtime: &Runtime) {
    let purges = 1000;
    let purge = |cache: &Items| {
        time_us(|| {
            for _ in 0..purges {
                assert_eq!(cache.purge_before(&0, SystemTime::UNIX_EPOCH), 0);
            }
        }) / f64::from(purges)
    };
    let one = LazyCell::new(|| filled(runtime, 1));
    for count in [1000, 100_000] {
        let many = LazyCell::new(|| filled(runtime, count));
        bench
            .case(&format!("purge of a key among {count} entries"), "µs")
            .bar(AtMost(2.0))
            .rounds(11)
            .peer("among 1", || purge(&one))
            .ours(|| purge(&many));
    }
}

async fn fill(folder: NewFolder) -> io::Result<()> {
    std::fs::write(folder.path().join("content"), "x")
}

fn new_folders(bench: &mut Bench, runtime: &Runtime) {
    const COUNT: u64 = 1000;
    for (case, sharing) in [
        ("1000 new folders", Sharing::Shared),
        (
            "1000 new folders, each committed",
            Sharing::Exclusive(Uncommitted::Dispose),
        ),
    ] {
        let root = match tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")) {
            Ok(root) => root,
            Err(error) => return bench.skip(case, &format!("no temporary folder: {error}")),
        };
        let (runs, tracker) = (Cell::new(0), ResourceTracker::detached());
        bench.case(case, "ms").bar(AtMost(1000.0)).ours(|| {
            runs.set(runs.get() + 1);
            runtime.block_on(async {
                let path = root.path().join(runs.get().to_string());
                let builder = FolderCache::<u64>::builder(path).sharing(sharing);
                let cache = builder.open(tracker.clone()).await.expect("a new root");
                let start = Instant::now();
                for key in 0..COUNT {
                    let handle = cache.require(&key, fill).await;
                    let handle = handle.expect("the construction succeeds");
                    handle.commit().await.expect("it can be recorded");
                }
                start.elapsed().as_secs_f64() * 1e3
            })
        });
    }
}

fn open_root(bench: &mut Bench, runtime: &Runtime) {
    const COUNT: u64 = 10_000;
    let case = "open a root with 10 000 folders";
    let root = match tempfile::tempdir() {
        Ok(root) => root,
        Err(error) => return bench.skip(case, &format!("no temporary folder: {error}")),
    };
    let open = || {
        let builder = FolderCache::<u64>::builder(root.path());
        builder.open(ResourceTracker::detached())
    };
    let filled = LazyCell::new(|| {
        runtime.block_on(async {
            let cache = open().await.expect("a root");
            for key in 0..COUNT {
                cache
                    .require(&key, fill)
                    .await
                    .expect("the construction succeeds");
            }
        });
    });
    bench.case(case, "ms").bar(AtMost(1000.0)).ours(|| {
        // Not timed, and skipped if another case is selected.
        LazyCell::force(&filled);
        time_ms(|| {
            let cache = runtime.block_on(open()).expect("a root");
            assert_eq!(cache.len() as u64, COUNT);
        })
    });
}
