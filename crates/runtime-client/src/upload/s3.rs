//! Bytes behind a signed URL of the queue's.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use runtime_core::artifact::{S3Artifact, UploadError, Uploaded};
use runtime_core::queue::{ArtifactRequest, ArtifactResponse, Queue};
use runtime_core::{ApiError, Run};

use super::deliver::{Destination, Target};
use super::{Origin, blocking, encoding, gzip, uploaded};
use crate::Client;

impl Client {
    pub(super) async fn upload_s3(
        &self,
        run: &Run,
        name: &str,
        expires: Timestamp,
        content: &S3Artifact,
    ) -> Result<Uploaded, UploadError> {
        let _permit = self.transport.uploads.acquire().await;
        let origin = Origin {
            name,
            source: &content.source,
        };
        let source = origin.open().await?;
        let request = ArtifactRequest::S3 {
            content_type: content.content_type.clone(),
            content_length: Some(source.length()),
            expires,
        };
        let mut destination = SignedUrl {
            client: self,
            run,
            name,
            request,
            is_gzip: false,
        };
        if !encoding::wants_gzip(name, &content.content_type, content.encoding) {
            let sent = self.deliver(name, &source, &destination).await;
            return sent
                .map(uploaded)
                .map_err(|failure| origin.failure(failure));
        }
        destination.is_gzip = true;
        let folder = self.transport.settings.spool_folder.clone();
        let compressed = blocking(move || gzip::compress(&source, folder.as_deref())).await;
        let compressed = compressed.map_err(|fault| origin.fault(fault))?;
        let sent = self
            .deliver(name, &Arc::new(compressed.copy), &destination)
            .await;
        sent.map(|_| uploaded(compressed.original))
            .map_err(|failure| origin.failure(failure))
    }
}

/// Declares the artifact, as often as asked, for a URL to put its bytes to.
struct SignedUrl<'a> {
    client: &'a Client,
    run: &'a Run,
    name: &'a str,
    request: ArtifactRequest,
    is_gzip: bool,
}

impl Destination for SignedUrl<'_> {
    async fn target(&self) -> Result<Target, ApiError> {
        let answer = self
            .client
            .create_artifact(self.run, self.name, &self.request)
            .await?;
        let ArtifactResponse::S3 {
            put_url,
            content_type,
            ..
        } = answer
        else {
            return Err(unexpected(
                "the storage type is another than the one asked for",
            ));
        };
        let mut headers = HeaderMap::new();
        let content_type = HeaderValue::try_from(content_type).map_err(unexpected)?;
        headers.insert(CONTENT_TYPE, content_type);
        if self.is_gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(Target {
            url: put_url,
            headers,
        })
    }
}

fn unexpected(source: impl Into<runtime_core::BoxError>) -> ApiError {
    ApiError::Unexpected {
        method: "queue.createArtifact",
        source: source.into(),
    }
}
