//! The contents of the S3-like store.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs;
#[cfg(feature = "pages")]
use std::fs::File;
use std::io;
#[cfg(feature = "pages")]
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::table::Table;

/// The largest blob that a server without a data folder keeps in memory, in bytes: a file has at least this size.
pub(crate) const MAX_IN_MEMORY: u64 = 4096;

/// Uploaded bytes in a file or in memory, with the headers to serve them.
#[derive(Debug)]
pub(crate) struct Blob {
    /// The file. For bytes in memory, only its name is used, and no file exists.
    pub(crate) path: Box<Path>,
    in_memory: Option<Bytes>,
    pub(crate) len: u64,
    /// A line `name: value` for each. Many blobs with a map each would need several times as much memory.
    headers: Box<str>,
    /// Whether the store has the blob. If not, the file is removed when the blob is dropped.
    is_stored: AtomicBool,
}

impl Blob {
    /// Creates a blob that owns a file, which need not exist yet.
    pub(crate) fn new(path: PathBuf, len: u64, headers: &HeaderMap) -> Self {
        // A value has any bytes but line breaks, and each is the code of a character.
        let lines = headers.iter().map(|(name, value)| {
            let value = value.as_bytes().iter().copied().map(char::from);
            format!("{name}: {}\n", value.collect::<String>())
        });
        Self {
            path: path.into(),
            in_memory: None,
            len,
            headers: lines.collect::<String>().into(),
            is_stored: AtomicBool::new(false),
        }
    }

    /// Sets the content, which replaces the file.
    pub(crate) fn set_in_memory(&mut self, bytes: &[u8]) {
        // A copy: the bytes of a request are a part of a larger buffer.
        self.in_memory = Some(Bytes::copy_from_slice(bytes));
    }

    /// Returns the content if it is in memory.
    pub(crate) fn in_memory(&self) -> Option<&Bytes> {
        self.in_memory.as_ref()
    }

    /// Returns the whole content.
    pub(crate) async fn read(&self) -> io::Result<Vec<u8>> {
        match &self.in_memory {
            Some(bytes) => Ok(bytes.to_vec()),
            None => tokio::fs::read(&self.path).await,
        }
    }

    /// Opens the content. The reader blocks.
    #[cfg(feature = "pages")]
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match &self.in_memory {
            Some(bytes) => Box::new(&bytes[..]),
            None => Box::new(File::open(&self.path)?),
        })
    }

    /// Returns an ETag that is unique to this upload: each has a new file name.
    pub(crate) fn etag(&self) -> String {
        format!("\"{}\"", self.file_name())
    }
}

impl Blob {
    /// Keeps the file of a replaced blob.
    pub(crate) fn keep(&self) {
        self.is_stored.store(true, Ordering::Relaxed);
    }

    /// Returns the headers to serve the blob with.
    pub(crate) fn headers(&self) -> HeaderMap {
        let headers = self.headers.split('\n').filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let value: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(c).ok()).collect();
            let value = HeaderValue::from_bytes(&value?).ok()?;
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        });
        headers.collect()
    }

    fn file_name(&self) -> Cow<'_, str> {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy()
    }
}

impl Drop for Blob {
    /// Removes the file, unless the store has the blob.
    fn drop(&mut self) {
        if !*self.is_stored.get_mut() && self.in_memory.is_none() {
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
    /// Before the drop, the caller must store the state, so that it never refers to a removed file. If storing fails,
    /// the caller must [`keep`](Blob::keep) the replaced blob.
    #[must_use]
    pub(crate) fn put(&mut self, key: String, blob: Blob) -> Option<Arc<Blob>> {
        blob.keep();
        let replaced = self.0.insert(key, Arc::new(blob))?;
        // `Relaxed`: the flag is read in the destructor, which has exclusive access after the last
        // reference was released.
        replaced.is_stored.store(false, Ordering::Relaxed);
        Some(replaced)
    }

    /// Returns the names of the files.
    pub(crate) fn file_names(&self) -> impl Iterator<Item = &OsStr> {
        self.0.values().filter_map(|blob| blob.path.file_name())
    }

    /// Sets the folder of restored blobs.
    pub(super) fn set_folder(&mut self, folder: &Path) {
        let blobs = self.0.restored_values_mut().filter_map(Arc::get_mut);
        blobs.for_each(|blob| blob.path = folder.join(&blob.path).into());
    }
}

/// A blob in the journal, with the name of its file.
#[derive(Serialize, Deserialize)]
struct StoredBlob<'a> {
    #[serde(borrow)]
    file: Cow<'a, str>,
    len: u64,
    #[serde(borrow)]
    headers: Cow<'a, str>,
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = StoredBlob {
            file: self.file_name(),
            len: self.len,
            headers: Cow::Borrowed(&self.headers),
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Blob {
    /// The path is relative until the store is restored.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredBlob::deserialize(deserializer)?;
        Ok(Self {
            path: Path::new(&*stored.file).into(),
            in_memory: None,
            len: stored.len,
            headers: stored.headers.into(),
            is_stored: AtomicBool::new(true),
        })
    }
}
