//! Folders to be removed that are not cache entries.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_gc::{CostClass, Disposable, DisposableResource, DisposeError, Footprint, Size};

use super::removal::Removal;
use super::root::{OwnedId, Root};

/// A folder below a root without a cache entry: half constructed, left by a killed process, or added by hand.
///
/// The collector removes it, so that a failed removal is reported and retried like all others.
#[derive(Debug)]
pub(super) struct Leftover {
    cache: Arc<str>,
    id: OwnedId,
    resource: DisposableResource,
    removal: Removal,
}

impl Leftover {
    /// Moves a folder to the trash, if it is not there yet, and registers it with the collector for removal.
    pub(super) fn discard(root: &Root, id: OwnedId, path: PathBuf) {
        // At once: if this process is killed, the next sweep finds the rest in the trash.
        let path = if path.parent() == Some(&root.trash()) {
            path
        } else {
            root.move_to_trash(path)
        };
        let leftover = Self {
            cache: Arc::clone(&root.name),
            id,
            resource: DisposableResource::new(),
            removal: Removal::new(path),
        };
        let id = root.tracker.register(Arc::new(leftover));
        // Registered and discarded at once, which disposes of it regardless of limits.
        root.tracker.discard(id);
    }
}

#[async_trait]
impl Disposable for Leftover {
    fn resource(&self) -> &DisposableResource {
        &self.resource
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{}: left over {}", self.cache, self.id.id))
    }

    fn footprint(&self) -> Footprint {
        Footprint::disk(Size::Unknown)
    }

    fn class(&self) -> CostClass {
        CostClass::Cheap
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        self.removal.run().await
    }
}
