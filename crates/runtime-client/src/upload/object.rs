//! Bytes in the object service.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use runtime_core::artifact::{ObjectArtifact, UploadError, Uploaded};
use runtime_core::queue::{ArtifactRequest, ArtifactResponse, Queue};
use runtime_core::{ApiError, BoxError, Run};

use super::deliver::{Destination, Target, Undelivered, declare};
use super::digests::{Digester, Digests};
use super::source::{Fault, Source};
use super::{Origin, blocking, uploaded};
use crate::Client;
use crate::objects::{CreateUpload, DataInline, FinishUpload, Hashes, Proposal, PutTarget, PutUrl};

/// The longest object that travels within a request.
const LONGEST_INLINE: u64 = 8 << 10;

impl Client {
    /// Declares, sends, finishes the object and then the artifact; it is visible only after the last.
    pub(super) async fn upload_object(
        &self,
        run: &Run,
        name: &str,
        expires: Timestamp,
        content: &ObjectArtifact,
    ) -> Result<Uploaded, UploadError> {
        let _permit = self.transport.uploads.acquire().await;
        let origin = Origin {
            name,
            source: &content.source,
        };
        let source = origin.open().await?;
        let request = ArtifactRequest::Object {
            content_type: content.content_type.clone(),
            content_length: Some(source.length()),
            expires,
        };
        let offer = self
            .offer(run, name, &request)
            .await
            .map_err(|error| declare(name, error))?;
        let mut place = Place {
            content_type: &content.content_type,
            length: source.length(),
            expires,
            offer,
        };
        let filled = match place.fill(name, &source).await {
            // The credentials for the object have run out; another declaration brings new ones.
            Err(failure) if failure.is_unauthorized() => {
                place.offer = self
                    .offer(run, name, &request)
                    .await
                    .map_err(|error| declare(name, error))?;
                place.fill(name, &source).await
            }
            filled => filled,
        };
        let digests = filled.map_err(|failure| origin.failure(failure))?;
        let finished = self
            .finish_artifact(run, name, &place.offer.upload_id)
            .await;
        finished
            .map(|()| uploaded(digests))
            .map_err(|error| declare(name, error))
    }

    async fn offer(
        &self,
        run: &Run,
        name: &str,
        request: &ArtifactRequest,
    ) -> Result<Offer, ApiError> {
        match self.create_artifact(run, name, request).await? {
            ArtifactResponse::Object {
                name,
                project_id,
                upload_id,
                credentials,
                ..
            } => Ok(Offer {
                client: self.with_fixed(&credentials),
                name,
                project_id,
                upload_id,
            }),
            _ => Err(unexpected(
                "queue.createArtifact",
                "the storage type is another than the one asked for",
            )),
        }
    }
}

/// What the queue gave for one object.
struct Offer {
    /// Signs with the credentials for this object.
    client: Client,
    name: String,
    project_id: String,
    upload_id: String,
}

/// The place of one object in the service.
struct Place<'a> {
    content_type: &'a str,
    length: u64,
    expires: Timestamp,
    offer: Offer,
}

impl Place<'_> {
    /// Sends the bytes and makes the object readable.
    async fn fill(&self, name: &str, source: &Arc<Source>) -> Result<Digests, Undelivered> {
        let digests = self.send(name, source).await?;
        self.finish(&digests)
            .await
            .map_err(|error| declare(name, error))?;
        Ok(digests)
    }

    /// Sends the bytes, unless an earlier upload of this artifact already did.
    ///
    /// Nobody but us knows the upload id, so a conflict means that the object is finished. Whether it
    /// is the same is for the service to say: it refuses to finish an object again with other hashes.
    async fn send(&self, name: &str, source: &Arc<Source>) -> Result<Digests, Undelivered> {
        match self.send_anew(name, source).await {
            Err(Undelivered::Store(error)) if error.is_conflict() => {
                let source = Arc::clone(source);
                let digests = blocking(move || digests_of(&source)).await;
                digests.map_err(Undelivered::Source)
            }
            outcome => outcome,
        }
    }

    async fn send_anew(&self, name: &str, source: &Arc<Source>) -> Result<Digests, Undelivered> {
        if self.length <= LONGEST_INLINE
            && let Some(digests) = self.send_inline(name, source).await?
        {
            return Ok(digests);
        }
        self.offer.client.deliver(name, source, self).await
    }

    /// Sends the bytes within the request; `None` if the service prefers another way.
    async fn send_inline(
        &self,
        name: &str,
        source: &Arc<Source>,
    ) -> Result<Option<Digests>, Undelivered> {
        let source = Arc::clone(source);
        let (data, digests) = blocking(move || whole(&source))
            .await
            .map_err(Undelivered::Source)?;
        let inline = DataInline {
            content_type: self.content_type,
            object_data: STANDARD.encode(data),
        };
        let method = self
            .create(Some(inline))
            .await
            .map_err(|error| declare(name, error))?;
        Ok(method.data_inline.then_some(digests))
    }

    async fn create(
        &self,
        data_inline: Option<DataInline<'_>>,
    ) -> Result<crate::objects::UploadMethod, ApiError> {
        let put_url = PutUrl {
            content_type: self.content_type,
            content_length: self.length,
        };
        let upload = CreateUpload {
            project_id: &self.offer.project_id,
            upload_id: &self.offer.upload_id,
            expires: self.expires,
            proposed_upload_methods: Proposal {
                data_inline,
                put_url,
            },
        };
        self.offer
            .client
            .create_upload(&self.offer.name, &upload)
            .await
    }

    async fn finish(&self, digests: &Digests) -> Result<(), ApiError> {
        let upload = FinishUpload {
            project_id: &self.offer.project_id,
            upload_id: &self.offer.upload_id,
            hashes: Hashes {
                sha256: &digests.sha256,
                sha512: &digests.sha512,
            },
        };
        self.offer
            .client
            .finish_upload(&self.offer.name, &upload)
            .await
    }
}

impl Destination for Place<'_> {
    async fn target(&self) -> Result<Target, ApiError> {
        let method = self.create(None).await?;
        let put_url = method
            .put_url
            .ok_or_else(|| unexpected(CREATE, "the service offers no way to send the bytes"))?;
        Target::try_from(put_url).map_err(|error| unexpected(CREATE, error))
    }
}

const CREATE: &str = "object.createUpload";

impl TryFrom<PutTarget> for Target {
    type Error = http::Error;

    /// Headers go as they are given, but for the length, which the upload sets itself.
    fn try_from(target: PutTarget) -> Result<Self, http::Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in target.headers {
            let name = HeaderName::try_from(name)?;
            if name != CONTENT_LENGTH {
                headers.insert(name, HeaderValue::try_from(value)?);
            }
        }
        Ok(Self {
            url: target.url,
            headers,
        })
    }
}

/// Reads a small source into memory. Blocks.
fn whole(source: &Source) -> Result<(BytesMut, Digests), Fault> {
    let (mut data, mut digester) = (BytesMut::new(), Digester::new(source.length()));
    source.read(|chunk| {
        digester.update(&chunk);
        data.extend_from_slice(&chunk);
        Ok(())
    })?;
    Ok((data, digester.finish()))
}

/// Reads a source for its hashes alone. Blocks.
fn digests_of(source: &Source) -> Result<Digests, Fault> {
    let mut digester = Digester::new(source.length());
    source.read(|chunk| {
        digester.update(&chunk);
        Ok(())
    })?;
    Ok(digester.finish())
}

fn unexpected(method: &'static str, source: impl Into<BoxError>) -> ApiError {
    ApiError::Unexpected {
        method,
        source: source.into(),
    }
}
