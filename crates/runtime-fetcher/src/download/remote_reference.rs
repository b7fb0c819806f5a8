//! References whose bytes are behind a URL, and their download in passes.

use std::fmt;

use async_trait::async_trait;
use runtime_core::TaskId;
use url::Url;

use super::artifact_location::{locate_content, locate_object};
use super::decode::DecodedBody;
use super::pass_error::PassError;
use super::resumable_body::{Locatable, ResumableBody};
use crate::attempt_error::{AttemptError, ErrorClass};
use crate::context::FetchContext;
use crate::error::FetchError;
use crate::hash::{Hashes, Verifier};
use crate::hash_key::HashKey;
use crate::http::{Encoding, Location, LocationTrust, redacted};
use crate::reference::{FetchStats, Reference};
use crate::required_scopes::RequiredScopes;
use crate::target::{Target, TargetError};

/// A resolved reference whose bytes are behind a URL.
pub(crate) struct RemoteReference {
    pub(crate) origin: Origin,
    pub(crate) hashes: Hashes,
}

/// The service that has the bytes.
pub(crate) enum Origin {
    Url(Url),
    /// An artifact of the queue.
    Artifact {
        task_id: TaskId,
        run_id: u32,
        name: String,
    },
    /// An object of the object service.
    Object(String),
}

#[async_trait]
impl Reference for RemoteReference {
    fn subject(&self) -> String {
        match &self.origin {
            Origin::Url(url) => redacted(url),
            Origin::Artifact {
                task_id,
                run_id,
                name,
            } => format!("artifact `{name}` of task {task_id}/{run_id}"),
            Origin::Object(name) => format!("object `{name}`"),
        }
    }

    fn hash_key(&self) -> HashKey {
        let hashes = self.hashes.key_parts();
        match &self.origin {
            // The bytes are the same at every URL.
            Origin::Url(_) if self.hashes.has_strong() => HashKey::new("hash", hashes),
            Origin::Url(_) => self.source_key(),
            // Not shared with a URL of the same hash: a task that knows the hash of a private artifact could
            // get the cached copy without the scope for it.
            Origin::Artifact {
                task_id,
                run_id,
                name,
            } => {
                let parts = [task_id.to_string(), run_id.to_string(), name.clone()];
                HashKey::new("artifact", parts.into_iter().chain(hashes))
            }
            Origin::Object(name) => {
                HashKey::new("object", [name.clone()].into_iter().chain(hashes))
            }
        }
    }

    fn source_key(&self) -> HashKey {
        match &self.origin {
            Origin::Url(url) => {
                let url = [url.to_string()].into_iter();
                HashKey::new("url", url.chain(self.hashes.key_parts()))
            }
            Origin::Artifact { .. } | Origin::Object(_) => self.hash_key(),
        }
    }

    fn scopes(&self) -> RequiredScopes {
        match &self.origin {
            Origin::Url(_) => RequiredScopes::none(),
            Origin::Artifact { name, .. } if name.starts_with("public/") => RequiredScopes::none(),
            Origin::Artifact { name, .. } => {
                RequiredScopes::all_of([format!("queue:get-artifact:{name}")])
            }
            Origin::Object(name) => RequiredScopes::all_of([format!("object:download:{name}")]),
        }
    }

    async fn fetch(
        &self,
        context: &FetchContext,
        target: &mut dyn Target,
    ) -> Result<FetchStats, FetchError> {
        let mut body = ResumableBody::new(self, context);
        match run_passes(&mut body, target, context.config().max_bytes).await {
            Ok(bytes) => Ok(body.finish(bytes)),
            Err(error) => Err(body.into_error(error)),
        }
    }
}

#[async_trait]
impl Locatable for RemoteReference {
    async fn locate(&self, context: &FetchContext) -> Result<Location, AttemptError> {
        let services = context.services();
        match &self.origin {
            Origin::Url(url) => Ok(Location {
                url: url.clone(),
                trust: LocationTrust::Task,
                hashes: self.hashes.clone(),
                follow_redirects: true,
            }),
            Origin::Artifact {
                task_id,
                run_id,
                name,
            } => {
                let content = services.queue.artifact(task_id, Some(*run_id), name);
                locate_content(services, content.await?, &self.hashes).await
            }
            Origin::Object(name) => locate_object(services, name, None, &self.hashes).await,
        }
    }
}

/// The passes over a body, each after the previous one has found it corrupt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    First,
    /// Takes the bytes as they are sent, if they are encoded and have to have a hash.
    ///
    /// Some servers declare the compression of a file, such as that of a `.tar.gz`, as a content encoding. The hash is
    /// then that of the file, not of the decoded bytes.
    AsSent,
    /// Finds out whether the body is always corrupt. A proxy or mirror may have served a truncated or mixed body with the
    /// right length. A second mismatch means that the reference has the wrong hash.
    Last,
}

/// Runs passes over the body until one is complete and verified. Returns the number of stored bytes.
async fn run_passes(
    body: &mut ResumableBody<'_>,
    target: &mut dyn Target,
    limit: u64,
) -> Result<u64, PassError> {
    let mut pass = Pass::First;
    loop {
        match run_pass(body, target, limit, pass).await {
            // Restarts are bounded: each follows a failure that the retry budget has counted, or
            // parallel ranges that did not help, which are not tried again.
            Err(PassError::Restart) => {}
            Err(PassError::Failed(cause))
                if cause.class() == ErrorClass::CorruptBody && pass != Pass::Last =>
            {
                let may_be_as_sent = body.is_encoded() && !body.hashes().is_empty();
                pass = match pass {
                    Pass::First if may_be_as_sent => Pass::AsSent,
                    _ => Pass::Last,
                };
                body.wait_before_retry(cause).await?;
            }
            result => return result,
        }
    }
}

/// Decodes, verifies and stores the body once, from its first byte.
async fn run_pass(
    body: &mut ResumableBody<'_>,
    target: &mut dyn Target,
    limit: u64,
    pass: Pass,
) -> Result<u64, PassError> {
    let too_large = || PassError::Failed(AttemptError::TooLarge { limit });
    let mut metadata = body.start_pass().await?;
    if pass == Pass::AsSent {
        metadata.encoding = Encoding::Identity;
    }
    // Before anything else: the target may hold bytes of an earlier pass.
    target.reset().await?;
    if let Some(total) = metadata.total {
        // Checked before the first byte. The length of an encoded body says nothing about the decoded one.
        if total > limit && metadata.encoding == Encoding::Identity {
            return Err(too_large());
        }
        // Nor is the limit exceeded by a server that declares any length for an encoded body.
        target.expect(total.min(limit)).await?;
    }
    let mut verifier = Verifier::new(body.hashes());
    let mut decoded = DecodedBody::new(body, &metadata);
    let mut bytes = 0;
    while let Some(chunk) = decoded.next_chunk().await? {
        bytes += chunk.len() as u64;
        // Counted after decoding: a small encoded body may expand to any size.
        if bytes > limit {
            return Err(too_large());
        }
        verifier.update(&chunk).await.map_err(hashing_failed)?;
        target.write(chunk).await?;
    }
    let verdict = verifier.finish().await.map_err(hashing_failed)?;
    verdict.map_err(|mut mismatch| {
        mismatch.decoded = Some(metadata.encoding)
            .filter(|encoding| *encoding != Encoding::Identity)
            .map(Encoding::as_str);
        PassError::Failed(mismatch.into())
    })?;
    // Last: a committed target holds verified bytes.
    target.commit().await?;
    Ok(bytes)
}

/// Hashing fails only if its thread panics or the runtime shuts down.
fn hashing_failed(error: std::io::Error) -> PassError {
    PassError::Target(TargetError::Receiver(error.into()))
}

impl fmt::Debug for RemoteReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteReference")
            .field("subject", &self.subject())
            .field("hashes", &self.hashes)
            .finish()
    }
}
