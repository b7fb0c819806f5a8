//! The files of the S3-like store.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize, Serializer};

use super::table::Table;

/// Uploaded bytes in a file, with the headers to serve them.
#[derive(Debug, Deserialize)]
#[serde(from = "StoredBlob")]
pub(crate) struct Blob {
    pub(crate) path: PathBuf,
    pub(crate) len: u64,
    pub(crate) headers: HeaderMap,
    /// Whether the store has the blob. The file of any other one is removed with it.
    is_stored: AtomicBool,
}

impl Blob {
    /// Creates a blob that owns a file, which need not exist yet.
    pub(crate) fn new(path: PathBuf, len: u64, headers: HeaderMap) -> Self {
        Self {
            path,
            len,
            headers,
            is_stored: AtomicBool::new(false),
        }
    }

    /// Returns an ETag that is unique to this upload: each has a new file name.
    pub(crate) fn etag(&self) -> String {
        format!("\"{}\"", file_name(&self.path))
    }
}

impl Drop for Blob {
    /// Removes the file, unless the store has the blob.
    fn drop(&mut self) {
        if !*self.is_stored.get_mut() {
            // A failure leaves one file in the data folder until the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The blobs by their key, which names the bucket first.
///
/// Readers share ownership of a blob, so that a replaced one is served to its end.
#[derive(Debug)]
pub(crate) struct BlobStore(pub(super) Table<String, Arc<Blob>>);

impl BlobStore {
    pub(crate) fn get(&self, key: &str) -> Option<Arc<Blob>> {
        self.0.get(key).cloned()
    }

    /// Stores a blob and returns the replaced one, which the caller drops outside of the lock.
    ///
    /// The state is stored before that, so that it never names a removed file.
    #[must_use]
    pub(crate) fn put(&mut self, key: String, blob: Blob) -> Option<Arc<Blob>> {
        blob.is_stored.store(true, Ordering::Relaxed);
        let replaced = self.0.insert(key, Arc::new(blob))?;
        replaced.is_stored.store(false, Ordering::Relaxed);
        Some(replaced)
    }

    /// Returns the names of the files.
    pub(crate) fn file_names(&self) -> impl Iterator<Item = OsString> {
        let names = self.0.values().filter_map(|blob| blob.path.file_name());
        names.map(OsString::from)
    }

    /// Sets the folder of restored blobs.
    pub(super) fn set_folder(&mut self, folder: &Path) {
        let blobs = self.0.restored_values_mut().filter_map(Arc::get_mut);
        blobs.for_each(|blob| blob.path = folder.join(&blob.path));
    }
}

/// A blob in the journal, with the name of its file.
#[derive(Serialize, Deserialize)]
struct StoredBlob {
    file: String,
    len: u64,
    headers: Vec<(String, String)>,
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A header has any bytes, and each is the code of a character.
        let text = |value: &HeaderValue| value.as_bytes().iter().copied().map(char::from).collect();
        let headers = self.headers.iter();
        let stored = StoredBlob {
            file: file_name(&self.path),
            len: self.len,
            headers: headers
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
        };
        stored.serialize(serializer)
    }
}

impl From<StoredBlob> for Blob {
    /// The path is relative until the store is restored.
    fn from(stored: StoredBlob) -> Self {
        let headers = stored.headers.iter().filter_map(|(name, value)| {
            let value: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(c).ok()).collect();
            let value = HeaderValue::from_bytes(&value?).ok()?;
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        });
        Self {
            path: stored.file.into(),
            len: stored.len,
            headers: headers.collect(),
            is_stored: AtomicBool::new(true),
        }
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
