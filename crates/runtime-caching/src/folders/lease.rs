//! Leases of folders to their users.

use std::io;

use super::cache::FolderKey;
use super::folder::Folder;
use super::handle::FolderHandle;
use crate::error::RequireError;
use crate::handle::Handle;

/// Leases the folder to its user. Returns `None` and discards the folder if the lease cannot be recorded.
///
/// Blocks while the lease is synced, which only a hit in an exclusive cache requires.
pub(super) fn lease<K: FolderKey>(handle: Handle<K, Folder>) -> Option<FolderHandle<K>> {
    let recorded = handle.lease();
    accept(handle, recorded)
}

/// Leases the folder like [`lease`], on a blocking thread if the lease is synced.
pub(super) async fn lease_in_background<K: FolderKey>(
    handle: Handle<K, Folder>,
) -> Result<Option<FolderHandle<K>>, RequireError> {
    if !handle.needs_lease() {
        return Ok(lease(handle));
    }
    let (cache, key) = (handle.cache_name(), format!("{:?}", handle.key()).into());
    // Owned by the blocking task: if this future is dropped while the lease is synced, the
    // destructor of its result returns the folder to the cache.
    let undelivered = Undelivered(Some(handle));
    let leased = tokio::task::spawn_blocking(move || {
        let recorded = undelivered
            .0
            .as_ref()
            .map_or(Ok(()), |handle| handle.lease());
        (undelivered, recorded)
    });
    match leased.await {
        Ok((mut undelivered, recorded)) => Ok(undelivered
            .0
            .take()
            .and_then(|handle| accept(handle, recorded))),
        Err(_) => Err(RequireError::RuntimeShutdown { cache, key }),
    }
}

fn accept<K: FolderKey>(
    handle: Handle<K, Folder>,
    recorded: io::Result<()>,
) -> Option<FolderHandle<K>> {
    match recorded {
        Ok(()) => Some(FolderHandle::new(handle)),
        Err(error) => {
            let path = handle.path().display();
            tracing::warn!(%path, %error, "cannot record the lease of a cached folder; constructing another");
            handle.poison();
            None
        }
    }
}

/// A folder that its user has not received yet. If the request is dropped, the folder is unchanged and
/// available to the next user.
struct Undelivered<K: FolderKey>(Option<Handle<K, Folder>>);

impl<K: FolderKey> Drop for Undelivered<K> {
    fn drop(&mut self) {
        let Some(handle) = self.0.take() else { return };
        match handle.end_lease() {
            Ok(()) => handle.commit(),
            // The lease remains, so that the next process would remove the folder.
            Err(_) => handle.poison(),
        }
    }
}
