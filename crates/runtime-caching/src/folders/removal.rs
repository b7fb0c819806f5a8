//! The removal of a folder, which may take long.

use std::path::PathBuf;
use std::sync::Arc;

use runtime_gc::DisposeError;
use tokio::sync::Mutex;

use super::disk;

/// The removal of a folder, by one thread at a time.
#[derive(Debug)]
pub(super) struct Removal {
    path: PathBuf,
    /// Held by the thread that removes the folder. A blocking thread cannot be cancelled: it continues after the
    /// collector's timeout. The retry then waits for this thread instead of removing the same files concurrently.
    running: Arc<Mutex<()>>,
}

impl Removal {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            running: Arc::default(),
        }
    }

    /// Removes the folder with its contents.
    pub(super) async fn run(&self) -> Result<(), DisposeError> {
        let running = Arc::clone(&self.running).lock_owned().await;
        let path = self.path.clone();
        let remove = move || {
            // Moved into the closure: dropping the future must not release the lock while the
            // thread still removes.
            let _running = running;
            disk::remove_tree(&path)
        };
        let removed = tokio::task::spawn_blocking(remove).await;
        removed
            .map_err(DisposeError::failed)?
            .map_err(DisposeError::failed)
    }
}
