//! What a task gets.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use runtime_caching::{FolderHandle, Lookup};
use serde::{Deserialize, Serialize};

use crate::HashKey;

/// The name of the input within its folder.
pub(super) const CONTENT: &str = "content";

/// What an input looks like on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum InputLayout {
    /// A file with the bytes.
    File,
    /// A folder with what is in the archive; its format is found by a look at it unless it is given.
    #[cfg(feature = "unpack")]
    Directory(Option<crate::ArchiveFormat>),
}

/// What makes two inputs the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct InputKey {
    reference: HashKey,
    pub(super) form: InputLayout,
}

impl InputKey {
    pub(super) fn new(reference: HashKey, form: InputLayout) -> Self {
        Self { reference, form }
    }
}

/// An input that stays where it is for as long as this does.
///
/// It is shared: nobody may change it.
pub struct CachedInput {
    handle: FolderHandle<InputKey>,
    path: PathBuf,
}

impl CachedInput {
    pub(super) fn new(handle: FolderHandle<InputKey>) -> Self {
        let path = handle.path().join(CONTENT);
        Self { handle, path }
    }

    /// The file or the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When its fetch began, which may have been in an earlier process.
    #[must_use]
    pub fn fetched(&self) -> SystemTime {
        self.handle.created()
    }

    /// Whether it was there, had to be fetched, or was being fetched for somebody else.
    #[must_use]
    pub fn lookup(&self) -> Lookup {
        self.handle.lookup()
    }

    /// Gives it back and says that something is wrong with it: nobody gets it again.
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
