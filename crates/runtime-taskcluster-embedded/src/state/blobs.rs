//! The files of the S3-like store.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderMap;

/// Uploaded bytes in a file, with the headers to serve them.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) path: PathBuf,
    pub(crate) len: u64,
    pub(crate) headers: HeaderMap,
}

impl Blob {
    /// Returns an ETag that is unique to this upload: each has a new file name.
    pub(crate) fn etag(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        format!("\"{}\"", name.to_string_lossy())
    }
}

impl Drop for Blob {
    /// Removes the file.
    fn drop(&mut self) {
        // A failure leaves one file in the data folder, which a temporary folder removes with it.
        let _ = fs::remove_file(&self.path);
    }
}

/// The blobs by their key, which names the bucket first.
///
/// Readers share ownership of a blob, so that a replaced one is served to its end.
#[derive(Debug, Default)]
pub(crate) struct BlobStore(HashMap<String, Arc<Blob>>);

impl BlobStore {
    pub(crate) fn get(&self, key: &str) -> Option<Arc<Blob>> {
        self.0.get(key).cloned()
    }

    /// Stores a blob and returns the replaced one, which the caller drops outside of the lock.
    #[must_use]
    pub(crate) fn put(&mut self, key: String, blob: Blob) -> Option<Arc<Blob>> {
        self.0.insert(key, Arc::new(blob))
    }
}
