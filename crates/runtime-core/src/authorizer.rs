//! The port that signs requests for another HTTP client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method};

use crate::error::BoxError;
use crate::scopes::ScopeSet;
use crate::secret::Secret;

/// Signs requests to Taskcluster that another program or HTTP client sends.
///
/// Engines and plugins get one from [`TaskContext::authorizer`](crate::TaskContext::authorizer). Each signature is made
/// with the credentials that are current at the time of the call.
pub trait RequestAuthorizer: Send + Sync + fmt::Debug {
    /// Returns the value of an `Authorization` header.
    ///
    /// `payload` consists of the content type and the body of the request. With a payload, the signature covers both. A
    /// signature is valid for a single request: sign each attempt.
    ///
    /// # Errors
    ///
    /// A [`SignError`] if the URL is invalid, or there are no credentials that can sign.
    fn sign_header(
        &self,
        method: &Method,
        url: &str,
        payload: Option<(&str, &[u8])>,
    ) -> Result<HeaderValue, SignError>;

    /// Adds a bewit to a URL: a signature that permits anyone who has the URL to `GET` it for `lifetime`, at most until
    /// the credentials expire.
    ///
    /// # Errors
    ///
    /// A [`SignError`] if the URL is invalid, or there are no credentials that can sign.
    fn sign_url(&self, url: &str, lifetime: Duration) -> Result<Secret, SignError>;

    /// Returns an authorizer that is limited to `scopes`, in addition to the limits of earlier calls.
    ///
    /// Taskcluster refuses requests that need other scopes, and all requests if the credentials lack one of `scopes`.
    #[must_use]
    fn with_authorized_scopes(&self, scopes: &ScopeSet) -> Arc<dyn RequestAuthorizer>;
}

/// An error while signing a request or URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The URL cannot be parsed.
    #[error("cannot sign an invalid URL")]
    Url(#[source] BoxError),

    /// There are no credentials: access is anonymous, or the task has been disposed of.
    #[error("cannot sign without credentials; has the task ended?")]
    NoCredentials,

    /// The services are [disconnected](crate::Services::disconnected).
    #[error("cannot sign: this task context is not connected to a deployment")]
    NotConnected,

    /// The certificate of temporary credentials is not JSON. It has to be used exactly as the service returned it.
    #[error("cannot sign: the certificate is not valid JSON")]
    Certificate,

    /// The client id has characters that a header or a bewit cannot contain.
    #[error("cannot sign: the client id has characters that Hawk does not support")]
    ClientId,

    /// The Hawk library returned an error.
    #[error("cannot sign with Hawk")]
    Hawk(#[source] BoxError),
}
