//! The location of an artifact or object, by its storage type.

use std::collections::BTreeMap;

use runtime_core::queue::ArtifactContent;
use runtime_core::{Credentials, Services};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::attempt_error::AttemptError;
use crate::hash::{Hashes, HexDigest};
use crate::http::{Location, LocationTrust};

/// Returns the location of the bytes of an artifact, which must have `hashes`.
pub(super) async fn locate_content(
    services: &Services,
    content: ArtifactContent,
    hashes: &Hashes,
) -> Result<Location, AttemptError> {
    match content {
        ArtifactContent::S3 { url } => location(&url, LocationTrust::Deployment, hashes),
        // A task chose this URL when it created the artifact.
        ArtifactContent::Reference { url } => location(&url, LocationTrust::Task, hashes),
        ArtifactContent::Object { name, credentials } => {
            locate_object(services, &name, Some(&credentials), hashes).await
        }
        ArtifactContent::Error { reason, message } => {
            Err(AttemptError::ErrorArtifact { reason, message })
        }
        _ => Err(unsupported("unsupported storage type of the artifact")),
    }
}

fn location(
    url: &SecretString,
    trust: LocationTrust,
    hashes: &Hashes,
) -> Result<Location, AttemptError> {
    let url = match Url::parse(url.expose_secret()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        _ => return Err(unsupported("location is not an http or https URL")),
    };
    Ok(Location {
        url,
        trust,
        hashes: hashes.clone(),
        follow_redirects: true,
    })
}

/// Returns the location of the bytes of an object, with the credentials of the task unless others are given.
///
/// The object service requires clients to verify all of its hashes and to follow no redirect.
pub(super) async fn locate_object(
    services: &Services,
    name: &str,
    credentials: Option<&Credentials>,
    hashes: &Hashes,
) -> Result<Location, AttemptError> {
    let download = services.objects.start_download(name, credentials).await?;
    // The hashes of the service are those of the decoded bytes, like those of the reference.
    let hashes = hashes.clone().merge(object_hashes(&download.hashes)?)?;
    Ok(Location {
        // The `getUrl` method of the object service asks for this: the signed URL is that of the
        // bytes.
        follow_redirects: false,
        ..location(&download.url, LocationTrust::Deployment, &hashes)?
    })
}

fn object_hashes(known: &BTreeMap<String, String>) -> Result<Hashes, AttemptError> {
    let hashes = Hashes::none()
        .md5(digest(known, "md5")?)
        .sha1(digest(known, "sha1")?)
        .sha256(digest(known, "sha256")?)
        .sha512(digest(known, "sha512")?);
    if !hashes.has_strong() {
        return Err(unsupported("object has neither a SHA-256 nor a SHA-512"));
    }
    Ok(hashes)
}

fn digest<const N: usize>(
    known: &BTreeMap<String, String>,
    name: &str,
) -> Result<Option<HexDigest<N>>, AttemptError> {
    let digest = known.get(name).cloned().map(HexDigest::try_from);
    digest
        .transpose()
        .map_err(|_| unsupported("object has an invalid hash"))
}

fn unsupported(message: &str) -> AttemptError {
    AttemptError::Unsupported(message.to_owned())
}
