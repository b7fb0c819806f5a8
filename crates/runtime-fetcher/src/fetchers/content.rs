//! Where the bytes of an artifact are, by the way in which it is stored.

use std::collections::BTreeMap;

use runtime_core::queue::ArtifactContent;
use runtime_core::{Credentials, Services};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::AttemptError;
use crate::download::{Location, Trust};
use crate::hash::{Hashes, HexDigest};

/// Finds the bytes of an artifact that must have `hashes`.
pub(super) async fn locate_content(
    services: &Services,
    content: ArtifactContent,
    hashes: &Hashes,
) -> Result<Location, AttemptError> {
    match content {
        ArtifactContent::S3 { url } => at(&url, Trust::Deployment, hashes),
        ArtifactContent::Reference { url } => at(&url, Trust::Task, hashes),
        ArtifactContent::Object { name, credentials } => {
            locate_object(services, &name, Some(&credentials), hashes).await
        }
        ArtifactContent::Error { reason, message } => {
            Err(AttemptError::ErrorArtifact { reason, message })
        }
        _ => Err(unsupported(
            "is stored in a way that this worker cannot read",
        )),
    }
}

fn at(url: &SecretString, trust: Trust, hashes: &Hashes) -> Result<Location, AttemptError> {
    let url = match Url::parse(url.expose_secret()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        _ => {
            return Err(unsupported(
                "leads to something else than an http or https URL",
            ));
        }
    };
    Ok(Location {
        url,
        trust,
        hashes: hashes.clone(),
        redirects: true,
    })
}

/// Finds the bytes of an object, with the credentials of the task if no others are given.
///
/// The object service demands that all of its hashes are checked, and that no redirect is followed.
pub(super) async fn locate_object(
    services: &Services,
    name: &str,
    credentials: Option<&Credentials>,
    hashes: &Hashes,
) -> Result<Location, AttemptError> {
    let download = services.objects.start_download(name, credentials).await?;
    let known = object_hashes(&download.hashes)?;
    let location = at(
        &download.url,
        Trust::Deployment,
        &hashes.clone().merge(known)?,
    )?;
    Ok(Location {
        redirects: false,
        ..location
    })
}

fn object_hashes(known: &BTreeMap<String, String>) -> Result<Hashes, AttemptError> {
    let hashes = Hashes::none()
        .md5(digest(known, "md5")?)
        .sha1(digest(known, "sha1")?)
        .sha256(digest(known, "sha256")?)
        .sha512(digest(known, "sha512")?);
    if !hashes.has_strong() {
        return Err(unsupported(
            "is an object without a SHA-256 or SHA-512 to check it by",
        ));
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
        .map_err(|_| unsupported("is an object with a hash that is not one"))
}

fn unsupported(what: &str) -> AttemptError {
    AttemptError::Unsupported(format!("it {what}"))
}
