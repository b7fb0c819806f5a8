//! Signs requests and URLs with Hawk.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hawk::{DigestAlgorithm, Key, PayloadHasher, RequestBuilder};
use http::{HeaderValue, Method};
use runtime_core::clock::instant_after;
use runtime_core::{Credentials, CredentialsWatch, RequestAuthorizer, ScopeSet, Secret, SignError};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::value::RawValue;
use url::{Position, Url};

use crate::service_clock::ServiceClock;

/// Signs requests with the current credentials, for a proxy or for another HTTP client.
///
/// Engines and plugins use it as the port [`RequestAuthorizer`], from
/// [`TaskContext::authorizer`](runtime_core::TaskContext::authorizer).
///
/// ```
/// use http::Method;
/// use runtime_client::Authorizer;
/// use runtime_core::{Credentials, CredentialsWatch, RequestAuthorizer as _, ScopeSet};
///
/// let credentials = Credentials::new("project/ci/worker", "a-secret");
/// let task = Authorizer::new(CredentialsWatch::fixed(Some(credentials)))
///     .with_authorized_scopes(&ScopeSet::new(["queue:get-artifact:private/*"]));
///
/// let header = task.sign_header(&Method::GET, "https://tc.example.com/api/auth/v1/scopes/current", None)?;
/// assert!(header.to_str()?.starts_with("Hawk "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Authorizer {
    credentials: CredentialsWatch,
    authorized: Option<ScopeSet>,
    /// Signs with the time of the services, which refuse other times.
    service_clock: ServiceClock,
}

impl Authorizer {
    /// Creates an authorizer that signs with the current value of `credentials`.
    #[must_use]
    pub fn new(credentials: CredentialsWatch) -> Self {
        Self::with_clock(credentials, ServiceClock::default())
    }

    pub(crate) fn with_clock(credentials: CredentialsWatch, service_clock: ServiceClock) -> Self {
        Self {
            credentials,
            authorized: None,
            service_clock,
        }
    }

    /// Returns an authorizer that is limited to `scopes`, in addition to the limits of earlier calls.
    #[must_use]
    pub fn with_authorized_scopes(&self, scopes: &ScopeSet) -> Self {
        let authorized = match &self.authorized {
            // An intersection: restricting twice must never widen.
            Some(earlier) => earlier.intersection(scopes),
            None => scopes.clone(),
        };
        Self {
            credentials: self.credentials.clone(),
            authorized: Some(authorized),
            service_clock: self.service_clock.clone(),
        }
    }

    /// Returns the current credentials.
    pub(crate) fn snapshot(&self) -> Option<Credentials> {
        self.credentials.snapshot()
    }

    /// Returns another watch of the credentials.
    pub(crate) fn watch(&self) -> CredentialsWatch {
        self.credentials.clone()
    }

    /// Signs with the given credentials, so that the caller knows which ones a service refused.
    pub(crate) fn header(
        &self,
        credentials: &Credentials,
        method: &Method,
        url: &Url,
        payload: Option<(&str, &[u8])>,
    ) -> Result<HeaderValue, SignError> {
        let hash = payload
            .map(|(content_type, body)| payload_hash(content_type, body))
            .transpose()?;
        let ext = self.ext(credentials)?;
        // Hawk signs method, path with query, host, port, time, nonce, payload hash and `ext`. So a changed or repeated
        // request is detected, and every attempt needs its own signature.
        let resource = &url[Position::BeforePath..Position::AfterQuery];
        let mut request = RequestBuilder::from_url(method.as_str(), url)
            .map_err(hawk_error)?
            // Without the fragment, which clients do not send.
            .path(resource)
            .hash(hash.as_deref());
        if let Some(ext) = &ext {
            request = request.ext(&**ext);
        }
        // Distinguishes requests of the same second, and need not be unpredictable.
        let nonce = format!("{:016x}", fastrand::u64(..));
        let header = request
            .request()
            .make_header_full(
                &hawk_credentials(credentials)?,
                self.service_clock.now(),
                nonce,
            )
            .map_err(hawk_error)?;
        let mut value =
            // All other fields are Base64 or numbers, so only the client id can have characters that are invalid here.
            HeaderValue::from_str(&format!("Hawk {header}")).map_err(|_| SignError::ClientId)?;
        // Hides the signature from `Debug` of a request.
        value.set_sensitive(true);
        Ok(value)
    }

    fn bewit(
        &self,
        credentials: &Credentials,
        url: &Url,
        lifetime: Duration,
    ) -> Result<String, SignError> {
        // A backslash separates the fields of a bewit and cannot be escaped.
        if credentials.client_id.contains('\\') {
            return Err(SignError::ClientId);
        }
        let ext = self.ext(credentials)?;
        // A service verifies the URL without the bewit, and without the `?` if the bewit is the whole query.
        let end = match url.query() {
            None | Some("") => Position::AfterPath,
            Some(_) => Position::AfterQuery,
        };
        let resource = &url[Position::BeforePath..end];
        let mut request = RequestBuilder::from_url("GET", url)
            .map_err(hawk_error)?
            .path(resource);
        if let Some(ext) = &ext {
            request = request.ext(&**ext);
        }
        let key = hawk_credentials(credentials)?;
        let bewit = request
            .request()
            .make_bewit(&key, instant_after(self.service_clock.now(), lifetime))
            .map_err(hawk_error)?;
        Ok(bewit.to_str())
    }

    /// Returns the `ext` field: certificate and authorized scopes, as Base64 of JSON.
    fn ext(&self, credentials: &Credentials) -> Result<Option<String>, SignError> {
        // An empty set of authorized scopes is sent: it permits nothing, whereas a missing one permits all scopes.
        if credentials.certificate.is_none() && self.authorized.is_none() {
            return Ok(None);
        }
        let certificate = credentials
            .certificate
            .as_ref()
            .map(as_raw_json)
            .transpose()?;
        let ext = Ext {
            certificate,
            authorized_scopes: self.authorized.as_ref(),
        };
        let json = serde_json::to_vec(&ext).map_err(|_| SignError::Certificate)?;
        Ok(Some(STANDARD.encode(json)))
    }
}

impl RequestAuthorizer for Authorizer {
    fn sign_header(
        &self,
        method: &Method,
        url: &str,
        payload: Option<(&str, &[u8])>,
    ) -> Result<HeaderValue, SignError> {
        let credentials = self.snapshot().ok_or(SignError::NoCredentials)?;
        let url = parse_url(url)?;
        self.header(&credentials, method, &url, payload)
    }

    fn sign_url(&self, url: &str, lifetime: Duration) -> Result<Secret, SignError> {
        let credentials = self.snapshot().ok_or(SignError::NoCredentials)?;
        let mut url = parse_url(url)?;
        let bewit = self.bewit(&credentials, &url, lifetime)?;
        url.query_pairs_mut().append_pair("bewit", &bewit);
        Ok(Secret::new(url))
    }

    fn with_authorized_scopes(&self, scopes: &ScopeSet) -> Arc<dyn RequestAuthorizer> {
        Arc::new(self.with_authorized_scopes(scopes))
    }
}

/// The contents of `ext`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ext<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    // Unparsed: the service verifies its signature over the original text.
    certificate: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorized_scopes: Option<&'a ScopeSet>,
}

fn parse_url(url: &str) -> Result<Url, SignError> {
    Url::parse(url).map_err(|error| SignError::Url(error.into()))
}

/// Converts an error of the Hawk library, which is not among the dependencies of `runtime-core`.
fn hawk_error(error: hawk::Error) -> SignError {
    SignError::Hawk(error.into())
}

fn as_raw_json(certificate: &SecretString) -> Result<&RawValue, SignError> {
    serde_json::from_str(certificate.expose_secret()).map_err(|_| SignError::Certificate)
}

fn hawk_credentials(credentials: &Credentials) -> Result<hawk::Credentials, SignError> {
    let key = Key::new(
        credentials.access_token.expose_secret(),
        DigestAlgorithm::Sha256,
    )
    .map_err(hawk_error)?;
    Ok(hawk::Credentials {
        id: credentials.client_id.clone(),
        key,
    })
}

/// Returns the payload hash of Hawk, which covers the content type without its parameters.
fn payload_hash(content_type: &str, body: &[u8]) -> Result<Vec<u8>, SignError> {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    PayloadHasher::hash(essence, DigestAlgorithm::Sha256, body).map_err(hawk_error)
}
