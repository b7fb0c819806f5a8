//! The location of the bytes of a reference.

use url::Url;

use crate::hash::Hashes;

/// A URL with the rules that apply to its request and the hashes that its bytes must have.
pub(crate) struct Location {
    pub(crate) url: Url,
    pub(crate) trust: LocationTrust,
    pub(crate) hashes: Hashes,
    pub(crate) follow_redirects: bool,
}

/// The origin of a location, which decides whether the SSRF guard applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LocationTrust {
    /// A task payload, or a redirect to another origin: the guard applies.
    Task,
    /// A service of the deployment: any address is allowed.
    Deployment,
}

/// Returns a URL without its potential secrets: user, password and query.
pub(crate) fn redacted(url: &Url) -> String {
    let query = if url.query().is_some() { "?…" } else { "" };
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{port}{}{query}", url.scheme(), url.path())
}
