//! Uploads to the object service.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use runtime_core::artifact::{ObjectArtifact, UploadError, Uploaded};
use runtime_core::queue::{ArtifactRequest, Queue};
use runtime_core::{ApiError, Run};

use super::deliver::{DeliverError, UploadUrl, UploadUrlProvider, declare_error};
use super::digests::{Digester, Digests};
use super::named_source::NamedSource;
use super::object_declaration::{DeclaredObject, unexpected_response};
use super::source::{Source, SourceError, run_blocking};
use crate::client::Client;
use crate::objects::{
    CreateUpload, DataInline, FinishUpload, Hashes, ProposedMethods, PutUrl, PutUrlResponse,
    UploadMethod,
};

/// The size up to which an object is sent as part of the request.
const MAX_INLINE_BYTES: u64 = 8 << 10;

const CREATE_UPLOAD: &str = "object.createUpload";

impl Client {
    /// Declares the artifact, uploads and finishes the object, then finishes the artifact. Only then it is visible.
    pub(super) async fn upload_object(
        &self,
        run: &Run,
        name: &str,
        expires: Timestamp,
        content: &ObjectArtifact,
    ) -> Result<Uploaded, UploadError> {
        // Before the file is opened, so that waiting uploads hold no descriptors.
        let _permit = self.transport.upload_permits.acquire().await;
        let named = NamedSource {
            name,
            source: &content.source,
        };
        let source = named.open().await?;
        let request = ArtifactRequest::Object {
            content_type: content.content_type.clone(),
            expires,
        };
        let Some(object) = self.declare_object(run, name, &request).await? else {
            let digests = run_blocking(move || compute_digests(&source)).await;
            let digests = digests.map_err(|error| named.source_error(error))?;
            return self.check_same_object(run, name, digests).await;
        };
        let upload = ObjectUpload {
            artifact: name,
            content_type: &content.content_type,
            expires,
            source: &source,
            object,
        };
        let sent = upload.send_and_finish().await;
        let digests = sent.map_err(|error| named.deliver_error(error))?;
        self.finish_artifact(run, name, &upload.object.upload_id)
            .await
            .map_err(|error| declare_error(name, error))?;
        Ok(digests.into())
    }
}

/// The upload of one object.
struct ObjectUpload<'a> {
    artifact: &'a str,
    content_type: &'a str,
    expires: Timestamp,
    source: &'a Arc<Source>,
    object: DeclaredObject,
}

impl ObjectUpload<'_> {
    /// Sends the bytes and makes the object readable.
    async fn send_and_finish(&self) -> Result<Digests, DeliverError> {
        let digests = self.send().await?;
        self.finish(&digests)
            .await
            .map_err(|error| declare_error(self.artifact, error))?;
        Ok(digests)
    }

    /// Sends the bytes, unless an earlier attempt has already finished the object.
    ///
    /// The upload id is known only to this worker, so a conflict means that the object is finished and the response was
    /// lost. Whether it has the same content is verified by finishing it again: the service compares the hashes.
    async fn send(&self) -> Result<Digests, DeliverError> {
        match self.send_inline_or_by_url().await {
            Err(DeliverError::Store(error)) if error.is_conflict() => {
                let source = Arc::clone(self.source);
                let digests = run_blocking(move || compute_digests(&source)).await;
                digests.map_err(DeliverError::Source)
            }
            result => result,
        }
    }

    async fn send_inline_or_by_url(&self) -> Result<Digests, DeliverError> {
        if self.source.length() <= MAX_INLINE_BYTES
            && let Some(digests) = self.send_inline().await?
        {
            return Ok(digests);
        }
        let client = &self.object.client;
        client.deliver(self.artifact, self.source, self).await
    }

    /// Sends the bytes as part of the request. Returns `None` if the service chose another method.
    async fn send_inline(&self) -> Result<Option<Digests>, DeliverError> {
        let source = Arc::clone(self.source);
        let (data, digests) = run_blocking(move || read_to_memory(&source))
            .await
            .map_err(DeliverError::Source)?;
        let inline = DataInline {
            content_type: self.content_type,
            object_data: STANDARD.encode(data),
        };
        let method = self
            .create_upload(Some(inline))
            .await
            .map_err(|error| declare_error(self.artifact, error))?;
        Ok(method.data_inline.then_some(digests))
    }

    async fn create_upload(
        &self,
        data_inline: Option<DataInline<'_>>,
    ) -> Result<UploadMethod, ApiError> {
        let object = &self.object;
        let upload = CreateUpload {
            project_id: &object.project_id,
            upload_id: &object.upload_id,
            expires: self.expires,
            proposed_upload_methods: ProposedMethods {
                data_inline,
                put_url: PutUrl {
                    content_type: self.content_type,
                    content_length: self.source.length(),
                },
            },
        };
        object.client.create_upload(&object.name, &upload).await
    }

    async fn finish(&self, digests: &Digests) -> Result<(), ApiError> {
        let object = &self.object;
        let upload = FinishUpload {
            project_id: &object.project_id,
            upload_id: &object.upload_id,
            hashes: Hashes {
                sha256: &digests.sha256,
                sha512: &digests.sha512,
            },
        };
        object.client.finish_upload(&object.name, &upload).await
    }
}

impl UploadUrlProvider for ObjectUpload<'_> {
    async fn request_url(&self) -> Result<UploadUrl, ApiError> {
        // For each attempt: the URL expires, and the service returns a new one for the same upload.
        let method = self.create_upload(None).await?;
        let put_url = method.put_url.ok_or_else(|| {
            unexpected_response(CREATE_UPLOAD, "the service supports no upload method")
        })?;
        UploadUrl::try_from(put_url).map_err(|error| unexpected_response(CREATE_UPLOAD, error))
    }
}

impl TryFrom<PutUrlResponse> for UploadUrl {
    type Error = http::Error;

    /// Takes over all headers except the length, which the upload sets itself.
    fn try_from(response: PutUrlResponse) -> Result<Self, http::Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in response.headers {
            let name = HeaderName::try_from(name)?;
            // `put` sets it; a second one would make the request invalid.
            if name != CONTENT_LENGTH {
                headers.insert(name, HeaderValue::try_from(value)?);
            }
        }
        Ok(Self {
            url: response.url,
            headers,
        })
    }
}

/// Reads a small source into memory. Blocks.
fn read_to_memory(source: &Source) -> Result<(BytesMut, Digests), SourceError> {
    let (mut data, mut digester) = (BytesMut::new(), Digester::new(source.length()));
    source.read(|chunk| {
        digester.update(&chunk);
        data.extend_from_slice(&chunk);
        Ok(())
    })?;
    Ok((data, digester.finish()))
}

/// Reads a source only for its digests. Blocks.
fn compute_digests(source: &Source) -> Result<Digests, SourceError> {
    let mut digester = Digester::new(source.length());
    source.read(|chunk| {
        digester.update(&chunk);
        Ok(())
    })?;
    Ok(digester.finish())
}
