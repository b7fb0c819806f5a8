//! Random operations of concurrent tasks on one cache, compared with a model.
//!
//! The model checks these invariants:
//!
//! * no resource is disposed of while in use, disposed of twice, or leaked;
//! * no request returns a resource that was purged, poisoned or disposed of before;
//! * an exclusive resource has one user at a time.
//!
//! The property test runs a few tasks on one thread, in a reproducible order, so that failures shrink. The stress
//! tests run many tasks on several threads, and with folders on disk whose cache is closed and opened again.
//!
//! For longer runs, set the number of cases and of seeds:
//! `PROPTEST_CASES=100000 MODEL_SEEDS=1000 cargo test -p runtime-caching --test it model::`.

mod folders;
mod ops;
mod world;

use std::time::Duration;

use proptest::prelude::*;
use runtime_caching::{Sharing, Uncommitted};
use tokio::runtime::{Builder, Runtime};

use ops::Op;
use world::World;

const SHARINGS: [Sharing; 3] = [
    Sharing::Shared,
    Sharing::Exclusive(Uncommitted::Dispose),
    Sharing::Exclusive(Uncommitted::Keep),
];

fn sharings() -> impl Strategy<Value = Sharing> {
    proptest::sample::select(&SHARINGS[..])
}

fn tasks() -> impl Strategy<Value = Vec<Vec<Op>>> {
    proptest::collection::vec(proptest::collection::vec(ops::any_op(), 1..30), 1..6)
}

proptest! {
    #[test]
    fn invariants_hold_for_random_operations(sharing in sharings(), tasks in tasks(), seed: u64) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(World::new(sharing, seed).run(tasks));
    }
}

fn many_threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(4).enable_time();
    builder.build().expect("a runtime")
}

fn seeds(default: u64) -> std::ops::Range<u64> {
    let count = std::env::var("MODEL_SEEDS").ok();
    0..count.map_or(default, |count| count.parse().expect("a number of seeds"))
}

fn stress(tasks: usize, ops: usize) {
    for seed in seeds(3) {
        for sharing in SHARINGS {
            let mut random = fastrand::Rng::with_seed(seed);
            let tasks = (0..tasks)
                .map(|_| (0..ops).map(|_| ops::random_op(&mut random)).collect())
                .collect();
            many_threads().block_on(async {
                let run = World::new(sharing, seed).run(tasks);
                let ended = tokio::time::timeout(Duration::from_secs(600), run).await;
                assert!(ended.is_ok(), "{sharing:?} with seed {seed} hangs");
            });
        }
    }
}

#[test]
fn invariants_hold_on_many_threads() {
    stress(16, 100);
}

#[test]
fn invariants_hold_for_folders_across_restarts() {
    for (seed, sharing) in seeds(1).flat_map(|seed| SHARINGS.map(|sharing| (seed, sharing))) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut ops = || (0..60).map(|_| ops::random_op(&mut random)).collect();
        let mut tasks = || (0..8).map(|_| ops()).collect();
        let sessions = (0..4).map(|_| tasks()).collect();
        many_threads().block_on(async {
            let run = folders::run(sharing, seed, sessions);
            let ended = tokio::time::timeout(Duration::from_secs(600), run).await;
            assert!(ended.is_ok(), "{sharing:?} with seed {seed} hangs");
        });
    }
}
