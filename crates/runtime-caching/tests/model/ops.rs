//! What a task does.

use proptest::prelude::*;

pub(crate) const KEYS: u8 = 4;

/// How a handle is given back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Drop,
    Commit,
    Poison,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Asks for a key, holds it for so many turns, and gives it back.
    Use {
        key: u8,
        turns: u8,
        end: End,
    },
    /// Asks for a key and gives up after so many turns.
    GiveUp {
        key: u8,
        turns: u8,
    },
    /// Breaks what is behind a resource.
    Break {
        key: u8,
    },
    Purge {
        key: u8,
    },
    PurgeAll,
    Collect,
    CollectAll,
    /// Gives up a collection after so many turns.
    RuntimeShutdown {
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
            end: random
                .choice([End::Drop, End::Commit, End::Commit, End::Poison])
                .unwrap_or(End::Drop),
        },
        10..13 => Op::GiveUp { key, turns },
        13 => Op::Break { key },
        14 => Op::Purge { key },
        15 => Op::PurgeAll,
        16 => Op::Collect,
        17 => Op::CollectAll,
        18 => Op::RuntimeShutdown { turns },
        _ => Op::Yield { turns },
    }
}
