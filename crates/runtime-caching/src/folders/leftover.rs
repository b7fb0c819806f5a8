//! What has to be removed and is no entry any more.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_gc::{CostClass, Disposable, DisposableResource, DisposeError, Footprint, Size};

use super::removal::Removal;
use super::root::{Owned, Root};

/// Something below a root that no entry stands for: half-built, left by a killed process, or put there by hand.
///
/// The collector removes it, so that what resists is tried again and reported like everything else.
#[derive(Debug)]
pub(super) struct Leftover {
    cache: Arc<str>,
    owned: Owned,
    resource: DisposableResource,
    removal: Removal,
}

impl Leftover {
    pub(super) fn register(root: &Root, owned: Owned, path: PathBuf) {
        let leftover = Self {
            cache: Arc::clone(&root.name),
            owned,
            resource: DisposableResource::new(),
            removal: Removal::new(path),
        };
        let id = root.tracker.register(Arc::new(leftover));
        root.tracker.discard(id);
    }
}

#[async_trait]
impl Disposable for Leftover {
    fn resource(&self) -> &DisposableResource {
        &self.resource
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{}: left over {}", self.cache, self.owned.id))
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
