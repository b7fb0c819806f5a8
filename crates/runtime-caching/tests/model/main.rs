//! Tasks that do whatever they like with one cache, and a model that watches.
//!
//! The model holds these promises against what happens:
//!
//! * nothing is disposed of while in use, disposed of twice, or leaked;
//! * nothing is handed out after it was purged, poisoned or disposed of;
//! * an exclusive resource has one user at a time.
//!
//! As a property, a few tasks take turns on one thread in an order that is the same in each run, and a
//! failure shrinks to few steps. As a stress test, many run on many threads.

mod ops;
mod world;

use std::time::Duration;

use proptest::prelude::*;
use runtime_caching::{Sharing, Uncommitted};
use tokio::runtime::Builder;

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
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_for_whatever_tasks_do(sharing in sharings(), tasks in tasks(), seed: u64) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(World::new(sharing, seed).play(tasks));
    }
}

fn stress(tasks: usize, ops: usize, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        for sharing in SHARINGS {
            let runtime = Builder::new_multi_thread()
                .worker_threads(4)
                .enable_time()
                .build();
            let mut random = fastrand::Rng::with_seed(seed);
            let tasks = (0..tasks)
                .map(|_| (0..ops).map(|_| ops::random_op(&mut random)).collect())
                .collect();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(async {
                let play = World::new(sharing, seed).play(tasks);
                let ended = tokio::time::timeout(Duration::from_secs(600), play).await;
                assert!(ended.is_ok(), "{sharing:?} with seed {seed} hangs");
            });
        }
    }
}

#[test]
fn the_promises_hold_on_many_threads() {
    stress(16, 100, 0..3);
}
