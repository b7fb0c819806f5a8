//! The operations of a task.

use proptest::prelude::*;

pub(crate) const KEYS: u8 = 4;

/// The way a handle is released.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Release {
    Drop,
    Commit,
    Poison,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Requests a key, holds the handle for a number of turns, and releases it.
    Use {
        key: u8,
        turns: u8,
        release: Release,
    },
    /// Requests a key and drops the request after a number of turns.
    CancelRequest {
        key: u8,
        turns: u8,
    },
    /// Breaks a resource.
    Break {
        key: u8,
    },
    Purge {
        key: u8,
    },
    PurgeAll,
    Collect,
    CollectAll,
    /// Starts a collection and drops it after a number of turns.
    CancelCollection {
        turns: u8,
    },
    Yield {
        turns: u8,
    },
}

pub(crate) fn any_op() -> impl Strategy<Value = Op> {
    any::<u64>().prop_map(|seed| random_op(&mut fastrand::Rng::with_seed(seed)))
}

pub(crate) fn random_op(random: &mut fastrand::Rng) -> Op {
    let (key, turns) = (random.u8(..KEYS), random.u8(..6));
    match random.u8(..20) {
        0..10 => Op::Use {
            key,
            turns,
            release: random
                .choice([
                    Release::Drop,
                    Release::Commit,
                    Release::Commit,
                    Release::Poison,
                ])
                .unwrap_or(Release::Drop),
        },
        10..13 => Op::CancelRequest { key, turns },
        13 => Op::Break { key },
        14 => Op::Purge { key },
        15 => Op::PurgeAll,
        16 => Op::Collect,
        17 => Op::CollectAll,
        18 => Op::CancelCollection { turns },
        _ => Op::Yield { turns },
    }
}
