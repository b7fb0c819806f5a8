//! Verification of inputs that an earlier process fetched.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime_caching::{FolderCache, FolderHandle, LookupOutcome};
use tokio::sync::OnceCell;

use super::fingerprint::Fingerprint;
use super::layout::InputKey;

/// Inputs of an earlier process, each verified once, when it is first used.
#[derive(Default)]
pub(super) struct AdoptedInputs {
    /// By folder: inputs that have not been verified yet, and those that have changed.
    unverified: Mutex<HashMap<PathBuf, Arc<OnceCell<bool>>>>,
}

impl AdoptedInputs {
    /// Creates the list of all inputs that `folders` adopted.
    pub(super) fn unverified(folders: &FolderCache<InputKey>) -> Self {
        let adopted = Self::default();
        // A purge offers every folder to its filter; this filter chooses none.
        folders.purge(|input| {
            if let Some(path) = input.path {
                adopted.lock().insert(path.to_owned(), Arc::default());
            }
            false
        });
        adopted
    }

    /// Returns whether an input has the fingerprint that was recorded when it was fetched.
    ///
    /// True for every input that this process fetched: only a restart leaves time for an unnoticed change.
    pub(super) async fn is_unchanged(&self, handle: &FolderHandle<InputKey>) -> bool {
        if handle.lookup() != LookupOutcome::Hit {
            return true;
        }
        let folder = handle.path().to_owned();
        let Some(verdict) = self.lock().get(&folder).cloned() else {
            return true;
        };
        // Reading the input may take minutes: callers for the same input share one verification.
        let verify = || {
            let folder = folder.clone();
            let matches = tokio::task::spawn_blocking(move || Fingerprint::matches(&folder));
            async { matches.await.unwrap_or(false) }
        };
        let is_unchanged = *verdict.get_or_init(verify).await;
        // A negative verdict stays, for callers that hold a handle of the same copy and ask later. It never
        // applies to another copy, since the cache does not reuse paths.
        if is_unchanged {
            self.lock().remove(&folder);
        }
        is_unchanged
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<OnceCell<bool>>>> {
        self.unverified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
