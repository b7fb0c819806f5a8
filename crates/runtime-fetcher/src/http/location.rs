//! The location of the bytes of a reference.

use url::Url;

use crate::hash::Hashes;

/// A URL with the rules that apply to its request and the hashes that its bytes must have.
pub(crate) struct Location {
    pub(crate) url: Url,
    pub(crate) trust: Trust,
    pub(crate) hashes: Hashes,
    pub(crate) follow_redirects: bool,
}

/// The origin of a location, which decides whether the SSRF guard applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A task payload, or a redirect to another origin: the guard applies.
    Task,
    /// A service of the deployment: any address is allowed.
    Deployment,
}
