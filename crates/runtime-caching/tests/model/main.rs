//! Tasks that do whatever they like with one cache, and a model that watches.
//!
//! The model holds these promises against what happens:
//!
//! * nothing is disposed of while in use, disposed of twice, or leaked;
//! * nothing is handed out after it was purged, poisoned or disposed of;
//! * an exclusive resource has one user at a time.
//!
//! As a property, a few tasks take turns on one thread in an order that is the same in each run, and a
//! failure shrinks to few steps. As a stress test, many run on many threads; and so with folders on disk,
//! where the cache ends and another takes over its root while they are at it.
//!
//! To look for longer, say how many cases the property is to have, and how many seeds the stress tests:
//! `PROPTEST_CASES=100000 MODEL_SEEDS=1000 cargo test -p runtime-caching --test model`.

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
    fn the_promises_hold_for_whatever_tasks_do(sharing in sharings(), tasks in tasks(), seed: u64) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(World::new(sharing, seed).play(tasks));
    }
}

fn many_threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(4).enable_time();
    builder.build().expect("a runtime")
}

fn seeds(usual: u64) -> std::ops::Range<u64> {
    let asked = std::env::var("MODEL_SEEDS").ok();
    0..asked.map_or(usual, |asked| asked.parse().expect("a number of seeds"))
}

fn stress(tasks: usize, ops: usize) {
    for seed in seeds(3) {
        for sharing in SHARINGS {
            let mut random = fastrand::Rng::with_seed(seed);
            let tasks = (0..tasks)
                .map(|_| (0..ops).map(|_| ops::random_op(&mut random)).collect())
                .collect();
            many_threads().block_on(async {
                let play = World::new(sharing, seed).play(tasks);
                let ended = tokio::time::timeout(Duration::from_secs(600), play).await;
                assert!(ended.is_ok(), "{sharing:?} with seed {seed} hangs");
            });
        }
    }
}

#[test]
fn the_promises_hold_on_many_threads() {
    stress(16, 100);
}

#[test]
fn the_promises_hold_for_folders_over_restarts() {
    for (seed, sharing) in seeds(1).flat_map(|seed| SHARINGS.map(|sharing| (seed, sharing))) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut ops = || (0..60).map(|_| ops::random_op(&mut random)).collect();
        let mut tasks = || (0..8).map(|_| ops()).collect();
        let sessions = (0..4).map(|_| tasks()).collect();
        many_threads().block_on(async {
            let play = folders::play(sharing, seed, sessions);
            let ended = tokio::time::timeout(Duration::from_secs(600), play).await;
            assert!(ended.is_ok(), "{sharing:?} with seed {seed} hangs");
        });
    }
}
