//! Expected and received uploads.

use runtime_core::artifact::{Artifact, ArtifactBody, Uploaded};
use tokio::sync::oneshot;

/// The expected kind of an upload, and the channel to its [`UploadReceiver`].
pub(super) struct UploadExpectation {
    /// The storage type.
    pub(super) kind: &'static str,
    pub(super) sender: oneshot::Sender<ReceivedUpload>,
}

/// A handle to an expected upload.
#[derive(Debug)]
#[must_use = "the upload is expected even if the handle is not used"]
pub struct UploadReceiver {
    pub(super) name: String,
    pub(super) receiver: oneshot::Receiver<ReceivedUpload>,
}

/// A received upload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedUpload {
    /// The requested artifact.
    pub artifact: Artifact,
    /// The content before any encoding, or nothing for an artifact without content.
    pub bytes: Vec<u8>,
}

impl UploadReceiver {
    /// Waits for the upload.
    ///
    /// # Panics
    ///
    /// Panics if all clones of the services are dropped before the upload.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the future owns the handle, so the upload is lost with it.
    pub async fn received(self) -> ReceivedUpload {
        let Ok(upload) = self.receiver.await else {
            panic!("expected upload `{}` was not received", self.name);
        };
        upload
    }
}

impl ReceivedUpload {
    /// Returns the target URL of a redirect.
    #[must_use]
    pub fn redirect(&self) -> Option<&str> {
        match &self.artifact.content {
            ArtifactBody::Reference(redirect) => Some(&redirect.url),
            _ => None,
        }
    }

    pub(super) fn uploaded(&self) -> Uploaded {
        let mut uploaded = Uploaded::default();
        uploaded.bytes = self.bytes.len() as u64;
        uploaded
    }
}
