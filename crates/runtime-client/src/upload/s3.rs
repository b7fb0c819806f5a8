//! Uploads to a signed S3 URL of the queue.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use runtime_core::artifact::{ContentEncoding, S3Artifact, UploadError, Uploaded};
use runtime_core::queue::{ArtifactRequest, ArtifactResponse, Queue};
use runtime_core::{ApiError, BoxError, Run};

use super::deliver::{UploadUrl, UploadUrlProvider};
use super::named_source::NamedSource;
use super::source::run_blocking;
use super::{encoding, gzip};
use crate::client::Client;

impl Client {
    pub(super) async fn upload_s3(
        &self,
        run: &Run,
        name: &str,
        expires: Timestamp,
        content: &S3Artifact,
    ) -> Result<Uploaded, UploadError> {
        // Before the file is opened, so that waiting uploads hold no descriptors.
        let _permit = self.transport.upload_permits.acquire().await;
        let named = NamedSource {
            name,
            source: &content.source,
        };
        let source = named.open().await?;
        let original_bytes = match content.encoding {
            ContentEncoding::Gzipped { original_bytes } => original_bytes,
            _ => source.length(),
        };
        let request = ArtifactRequest::S3 {
            content_type: content.content_type.clone(),
            content_length: Some(original_bytes),
            expires,
        };
        let mut provider = S3UrlProvider {
            client: self,
            run,
            name,
            request,
            headers: content.headers.as_map().clone(),
        };
        let gzip = HeaderValue::from_static("gzip");
        if !encoding::should_compress(name, &content.content_type, content.encoding) {
            if let ContentEncoding::Gzipped { .. } = content.encoding {
                provider.headers.insert(CONTENT_ENCODING, gzip);
            }
            let sent = self.deliver(name, &source, &provider).await;
            return sent
                .map(Uploaded::from)
                .map_err(|error| named.deliver_error(error));
        }
        provider.headers.insert(CONTENT_ENCODING, gzip);
        let folder = self.transport.settings.spool_folder.clone();
        let compressed = run_blocking(move || gzip::compress(&source, folder.as_deref())).await;
        let compressed = compressed.map_err(|error| named.source_error(error))?;
        let sent = self
            .deliver(name, &Arc::new(compressed.copy), &provider)
            .await;
        // The digests of the original: readers decompress the artifact before they compare.
        sent.map(|_| compressed.original.into())
            .map_err(|error| named.deliver_error(error))
    }
}

/// Declares the artifact, which returns a signed URL. Repeated, it returns a new one.
struct S3UrlProvider<'a> {
    client: &'a Client,
    run: &'a Run,
    name: &'a str,
    request: ArtifactRequest,
    /// The headers of the upload, without the content type.
    headers: HeaderMap,
}

impl UploadUrlProvider for S3UrlProvider<'_> {
    async fn request_url(&self) -> Result<UploadUrl, ApiError> {
        let response = self
            .client
            .create_artifact(self.run, self.name, &self.request)
            .await?;
        let ArtifactResponse::S3 {
            put_url,
            content_type,
            ..
        } = response
        else {
            return Err(unexpected_response(
                "the storage type differs from the requested one",
            ));
        };
        let mut headers = self.headers.clone();
        // As in the response: the URL is signed for exactly this content type.
        let content_type = HeaderValue::try_from(content_type).map_err(unexpected_response)?;
        headers.insert(CONTENT_TYPE, content_type);
        Ok(UploadUrl {
            url: put_url,
            headers,
        })
    }
}

fn unexpected_response(source: impl Into<BoxError>) -> ApiError {
    ApiError::Unexpected {
        method: "queue.createArtifact",
        source: source.into(),
    }
}
