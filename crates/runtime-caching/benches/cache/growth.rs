//! The cost of a call and of a folder, by the number of entries.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
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

/// The time and the memory for a folder must not depend on the number of folders.
pub(super) fn folders(bench: &mut Bench, runtime: &Runtime) {
    const PLOT: Plot = Plot {
        name: "folders",
        title: "Cost of a folder in a cache of folders",
        by: "folders",
    };
    let sizes: &[u64] = bench.pick(&[1000, 10_000, 100_000], &[100, 1000, 10_000]);
    // Created once for all cases.
    let roots = RefCell::new(BTreeMap::new());
    let created = |size: u64| {
        let mut roots = roots.borrow_mut();
        let created = || Rc::new(create_folders(runtime, size));
        Rc::clone(roots.entry(size).or_insert_with(created))
    };
    bench
        .growth(PLOT, "new folder", "µs")
        .bar(AtMost(0.2))
        .rounds(1)
        .run(sizes, created, |created, _| created.1);
    bench
        .growth(PLOT, "opening the root", "µs")
        .bar(AtMost(0.2))
        .run(sizes, created, |created, size| {
            let opened = || open_folders(runtime, &created.0).len() as u64;
            time_us(|| assert_eq!(opened(), size)) / size as f64
        });
    if bench.quick() {
        let case = "memory while opening, exponent by folders";
        return bench.skip(case, "10 000 folders fit into memory that is free already");
    }
    // The smallest needs no more memory than is free already.
    bench
        .growth(PLOT, "memory while opening", "KiB")
        .bar(AtMost(0.2))
        .rounds(1)
        .run(&sizes[1..], created, |created, size| {
            let peak = |work: &dyn Fn()| peak_rss_mib(work).unwrap_or(f64::NAN);
            let before = peak(&|| ());
            let after = peak(&|| drop(open_folders(runtime, &created.0)));
            (after - before) * 1024.0 / size as f64
        });
}
