//! A folder that caches keep.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use parking_lot::Mutex;
use runtime_caching::Resource;
use runtime_core::{TemporaryFolder, TemporaryStorage};
use runtime_gc::{CostClass, DisposeError, Footprint, Size};

/// A folder of the worker's storage, for as long as a cache keeps it.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    size: Size,
    class: CostClass,
    folder: Mutex<Option<TemporaryFolder>>,
}

impl Kept {
    pub(super) fn create(
        storage: &TemporaryStorage,
        name: &str,
        class: CostClass,
    ) -> io::Result<Self> {
        let folder = storage.new_folder(name)?;
        // What a task puts into a named cache changes with every task, so its size is not known.
        Ok(Self {
            path: folder.path().to_owned(),
            size: Size::Unknown,
            class,
            folder: Mutex::new(Some(folder)),
        })
    }

    /// Says how much is in it.
    pub(super) fn with_size(mut self, bytes: u64) -> Self {
        self.size = Size::Known(bytes);
        self
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the bytes of an input are.
    pub(super) fn content(&self) -> PathBuf {
        self.path.join("content")
    }
}

#[async_trait]
impl Resource for Kept {
    fn footprint(&self) -> Footprint {
        Footprint::disk(self.size)
    }

    fn class(&self) -> CostClass {
        self.class
    }

    fn is_intact(&self) -> bool {
        match self.size {
            Size::Known(_) => self.content().is_file(),
            Size::None | Size::Unknown => self.path.is_dir(),
        }
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        let Some(folder) = self.folder.lock().take() else {
            return Ok(());
        };
        let removed = tokio::task::spawn_blocking(move || folder.remove()).await;
        removed
            .map_err(DisposeError::failed)?
            .map_err(DisposeError::failed)
    }
}
