//! The cost of a call and of a folder, by the number of entries.

use std::cell::LazyCell;
use std::time::SystemTime;

use bench_harness::{AtMost, Bench, Plot, peak_rss_mib, time_ns_each, time_us};
use runtime_caching::FolderCache;
use runtime_gc::ResourceTracker;
use tokio::runtime::Runtime;

use super::{fill, filled, hit, hot_keys, keys};

/// The time of a hit and of a purge must not depend on the number of entries.
pub(super) fn calls(bench: &mut Bench, runtime: &Runtime) {
    const PLOT: Plot = Plot {
        name: "cache",
        title: "Time of a call of a cache",
        by: "entries",
    };
    let (sizes, calls) = ([100, 1000, 10_000, 100_000], 20_000);
    let set_up = |size| filled(runtime, size);
    bench
        .growth(PLOT, "hit, 64 entries in use", "ns")
        .bar(AtMost(0.1))
        .rounds(51)
        .run(&sizes, set_up, |cache, size| {
            hit(runtime, cache, hot_keys(size, calls), calls)
        });
    bench
        .growth(PLOT, "hit, each in turn", "ns")
        .rounds(51)
        .run(&sizes, set_up, |cache, size| {
            hit(runtime, cache, keys(size, calls), calls)
        });
    bench
        .growth(PLOT, "purge of a key", "ns")
        .bar(AtMost(0.1))
        .rounds(51)
        .run(&sizes, set_up, |cache, _| {
            let purge = || cache.purge_before(&0, SystemTime::UNIX_EPOCH);
            time_ns_each(calls, || (0..calls).for_each(|_| assert_eq!(purge(), 0)))
        });
}

/// Creates a cache of folders with the keys from 0 to `count`, and returns its root and the microseconds for each folder.
fn create_folders(runtime: &Runtime, count: u64) -> (tempfile::TempDir, f64) {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    let cache = open_folders(runtime, &root);
    let time = time_us(|| {
        runtime.block_on(async {
            for key in 0..count {
                let handle = cache.require(&key, fill).await;
                handle.expect("the construction succeeds");
            }
        });
    });
    (root, time / count as f64)
}

fn open_folders(runtime: &Runtime, root: &tempfile::TempDir) -> FolderCache<u64> {
    let open = FolderCache::builder(root.path()).open(ResourceTracker::detached());
    runtime.block_on(open).expect("a root")
}

/// The time for a folder must not depend on the number of folders, and each needs little memory.
pub(super) fn folders(bench: &mut Bench, runtime: &Runtime) {
    const PLOT: Plot = Plot {
        name: "folders",
        title: "Time for a folder in a cache of folders",
        by: "folders",
    };
    let sizes: &[u64] = bench.pick(&[1000, 10_000, 100_000], &[100, 1000, 10_000]);
    bench
        .growth(PLOT, "new folder", "µs")
        .bar(AtMost(0.2))
        .rounds(1)
        .run(sizes, |_| (), |(), size| create_folders(runtime, size).1);
    let create = |size| create_folders(runtime, size).0;
    bench
        .growth(PLOT, "opening a root", "µs")
        .bar(AtMost(0.2))
        .run(sizes, create, |root, size| {
            let opened = || open_folders(runtime, root).len() as u64;
            time_us(|| assert_eq!(opened(), size)) / size as f64
        });
    let count = bench.pick(100_000, 10_000);
    let root = LazyCell::new(|| create(count));
    let memory = |work: &dyn Fn()| peak_rss_mib(work).unwrap_or(f64::NAN);
    bench
        .case(
            &format!("memory of an opened root with {count} folders"),
            "MiB",
        )
        .bar(AtMost(100.0))
        .rounds(1)
        .ours(|| {
            LazyCell::force(&root);
            let before = memory(&|| ());
            memory(&|| assert_eq!(open_folders(runtime, &root).len() as u64, count)) - before
        });
}
