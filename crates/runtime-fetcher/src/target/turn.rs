//! One small file of a folder after the other.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::path::Path;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Folders share turns by luck of their hash; enough of them that two at work at a time seldom do.
static TURNS: [Semaphore; 64] = [const { Semaphore::const_new(1) }; 64];

/// The right to make a file.
pub(super) type Turn = SemaphorePermit<'static>;

/// Waits for the turn to make a file in `folder`.
///
/// The kernel lets one at a time into a folder, and threads that wait for that keep a processor busy.
pub(super) async fn turn_in(folder: &Path) -> Turn {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(folder);
    let turn = TURNS[hash as usize % TURNS.len()].acquire().await;
    turn.expect("nobody closes it")
}
