//! What the store knows about the bytes that it keeps.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes in a file, and how they are to be served.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) path: PathBuf,
    pub(crate) len: u64,
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
}

impl Blob {
    /// A tag that differs for each upload.
    pub(crate) fn etag(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        format!("\"{}\"", name.to_string_lossy())
    }
}

impl Drop for Blob {
    /// Removes the file: the blob was replaced, or the store is gone.
    fn drop(&mut self) {
        // A file that is no longer there, or that cannot be removed, hurts nobody.
        let _ = fs::remove_file(&self.path);
    }
}

/// The blobs by bucket and key. Readers hold on to a blob, so that replacing it does not cut them off.
#[derive(Debug, Default)]
pub(crate) struct Store(HashMap<String, Arc<Blob>>);

impl Store {
    pub(crate) fn get(&self, key: &str) -> Option<Arc<Blob>> {
        self.0.get(key).cloned()
    }

    /// Stores a blob and gives back the one that it replaces, to be dropped outside of the lock.
    #[must_use]
    pub(crate) fn put(&mut self, key: String, blob: Blob) -> Option<Arc<Blob>> {
        self.0.insert(key, Arc::new(blob))
    }
}
