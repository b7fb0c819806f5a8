//! Removing a tree, which may take long.

use std::path::PathBuf;
use std::sync::Arc;

use runtime_gc::DisposeError;
use tokio::sync::Mutex;

use super::disk;

/// A tree that goes, by one thread at a time.
#[derive(Debug)]
pub(super) struct Removal {
    path: PathBuf,
    /// Held by the thread that removes. A removal goes on when the collector has lost its patience, and
    /// the next try waits for it.
    turn: Arc<Mutex<()>>,
}

/// A tree could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove `{}`", path.display())]
struct RemoveError {
    path: PathBuf,
    source: std::io::Error,
}

impl Removal {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            turn: Arc::default(),
        }
    }

    /// Returns when nothing is left.
    pub(super) async fn run(&self) -> Result<(), DisposeError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let path = self.path.clone();
        let work = move || {
            let _turn = turn;
            disk::remove_tree(&path).map_err(|source| RemoveError { path, source })
        };
        let removed = tokio::task::spawn_blocking(work).await;
        removed
            .map_err(DisposeError::failed)?
            .map_err(DisposeError::failed)
    }
}
