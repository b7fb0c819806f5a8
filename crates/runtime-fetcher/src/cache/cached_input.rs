//! The key, the layout on disk, and the handle of a cached input.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use runtime_caching::{FolderHandle, Lookup};
use serde::{Deserialize, Serialize};

use crate::hash_key::HashKey;

/// The name of the input within its folder.
pub(super) const CONTENT: &str = "content";

/// The layout of an input on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum InputLayout {
    /// A file with the fetched bytes.
    File,
    /// A folder with the entries of the archive. Without a format, the first bytes determine it.
    #[cfg(feature = "unpack")]
    Directory(Option<crate::unpack::ArchiveFormat>),
}

/// The identity of an input. An archive and its unpacked entries are two inputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct InputKey {
    reference: HashKey,
    layout: InputLayout,
}

impl InputKey {
    pub(super) fn new(reference: HashKey, layout: InputLayout) -> Self {
        Self { reference, layout }
    }
}

/// A handle that pins an input: it is not evicted while the handle exists.
///
/// Tasks share the input, so it must not be modified.
pub struct CachedInput {
    handle: FolderHandle<InputKey>,
    path: PathBuf,
}

impl CachedInput {
    pub(super) fn new(handle: FolderHandle<InputKey>) -> Self {
        let path = handle.path().join(CONTENT);
        Self { handle, path }
    }

    /// Returns the path of the file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the time when its fetch began, possibly in an earlier process.
    #[must_use]
    pub fn fetched_at(&self) -> SystemTime {
        self.handle.created()
    }

    /// Returns whether the input was cached, fetched for this caller, or being fetched for another.
    #[must_use]
    pub fn lookup(&self) -> Lookup {
        self.handle.lookup()
    }

    /// Releases the input and removes it from the cache, because it is defective.
    pub fn poison(self) {
        self.handle.poison();
    }
}

impl fmt::Debug for CachedInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedInput")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
