//! Uploads to a signed S3 URL of the queue.

use std::path::PathBuf;
use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use runtime_core::artifact::{ArtifactSource, ContentEncoding, S3Artifact, UploadError, Uploaded};
use runtime_core::queue::{ArtifactRequest, ArtifactResponse, Queue};
use runtime_core::{ApiError, BoxError, Run};

use super::deliver::{MAX_INLINE_BYTES, UploadUrl, UploadUrlProvider};
use super::named_source::NamedSource;
use super::source::{Source, run_blocking};
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
        // If the source is compressed, also the digests of the original: readers decompress before they compare.
        // Compressed before the declaration: the signed URL would expire while a large file is
        // compressed.
        let min_length =
            encoding::min_compressed_length(name, &content.content_type, content.encoding);
        let (source, folder) = (content.source.clone(), self.spool_folder());
        let open = move || {
            let source = Source::open(&source)?;
            if min_length.is_none_or(|min| source.length() < min) {
                return Ok((source, None));
            }
            let compressed = gzip::compress(&source, folder.as_deref())?;
            Ok((compressed.copy, Some(compressed.original)))
        };
        let opened = if is_short(&content.source) {
            open()
        } else {
            run_blocking(open).await
        };
        let (source, original) = opened.map_err(|error| named.source_error(error))?;
        let source = Arc::new(source);
        let original_bytes = match (content.encoding, &original) {
            (ContentEncoding::Gzipped { original_bytes }, _) => original_bytes,
            (_, Some(original)) => original.length,
            (_, None) => source.length(),
        };
        let mut headers = content.headers.as_map().clone();
        if original.is_some() || matches!(content.encoding, ContentEncoding::Gzipped { .. }) {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let provider = S3UrlProvider {
            client: self,
            run,
            name,
            request: ArtifactRequest::S3 {
                content_type: content.content_type.clone(),
                content_length: Some(original_bytes),
                expires,
            },
            headers,
        };
        let sent = self.deliver(name, &source, &provider).await;
        let sent = sent.map_err(|error| named.deliver_error(error))?;
        Ok(original.unwrap_or(sent).into())
    }

    fn spool_folder(&self) -> Option<PathBuf> {
        self.transport.settings.spool_folder.clone()
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

/// Returns whether opening and compressing a source takes less time than waking a thread for it.
fn is_short(source: &ArtifactSource) -> bool {
    matches!(source, ArtifactSource::Bytes(bytes) if bytes.len() <= MAX_INLINE_BYTES)
}

fn unexpected_response(source: impl Into<BoxError>) -> ApiError {
    ApiError::Unexpected {
        method: "queue.createArtifact",
        source: source.into(),
    }
}
