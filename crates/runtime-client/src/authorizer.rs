//! Signs requests and URLs with Hawk.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hawk::{DigestAlgorithm, Key, PayloadHasher, RequestBuilder};
use http::{HeaderValue, Method};
use runtime_core::{BoxError, Credentials, CredentialsWatch, ScopeSet};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::value::RawValue;
use url::Url;

/// Signs requests with the credentials of the moment, for a proxy or for a client of your own.
///
/// ```
/// use http::Method;
/// use runtime_client::Authorizer;
/// use runtime_core::{Credentials, CredentialsWatch, ScopeSet};
///
/// let credentials = Credentials::new("project/ci/worker", "a-secret");
/// let task = Authorizer::new(CredentialsWatch::fixed(Some(credentials)))
///     .with_authorized_scopes(&ScopeSet::new(["queue:get-artifact:private/*"]));
///
/// let header = task.sign_header(&Method::GET, "https://tc.example.com/api/auth/v1/scopes/current", None)?;
/// assert!(header.expect("there are credentials").to_str()?.starts_with("Hawk "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Authorizer {
    credentials: CredentialsWatch,
    authorized: Option<ScopeSet>,
}

impl Authorizer {
    /// Signs with what `credentials` holds at each signature.
    #[must_use]
    pub fn new(credentials: CredentialsWatch) -> Self {
        Self {
            credentials,
            authorized: None,
        }
    }

    /// Lowers the power of what is signed to `scopes`; never widens what an earlier call lowered.
    #[must_use]
    pub fn with_authorized_scopes(&self, scopes: &ScopeSet) -> Self {
        let authorized = match &self.authorized {
            Some(earlier) => earlier.intersection(scopes),
            None => scopes.clone(),
        };
        Self {
            credentials: self.credentials.clone(),
            authorized: Some(authorized),
        }
    }

    /// Makes the value of an `Authorization` header, or `None` when there are no credentials.
    ///
    /// `payload` is content type and body; with it, the signature covers the body too.
    ///
    /// # Errors
    ///
    /// A [`SignError`] if the URL or the credentials cannot be signed with.
    pub fn sign_header(
        &self,
        method: &Method,
        url: &str,
        payload: Option<(&str, &[u8])>,
    ) -> Result<Option<HeaderValue>, SignError> {
        let url = Url::parse(url).map_err(SignError::Url)?;
        match self.snapshot() {
            Some(credentials) => self.header(&credentials, method, &url, payload).map(Some),
            None => Ok(None),
        }
    }

    /// Adds a bewit to a URL: whoever has it may `GET` it for `lifetime`. Without credentials the URL
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// A [`SignError`] if the URL or the credentials cannot be signed with.
    pub fn sign_url(&self, url: &str, lifetime: Duration) -> Result<SecretString, SignError> {
        let mut url = Url::parse(url).map_err(SignError::Url)?;
        if let Some(credentials) = self.snapshot() {
            let bewit = self.bewit(&credentials, &url, lifetime)?;
            url.query_pairs_mut().append_pair("bewit", &bewit);
        }
        Ok(SecretString::from(String::from(url)))
    }

    /// The credentials of this moment.
    pub(crate) fn snapshot(&self) -> Option<Credentials> {
        self.credentials.snapshot()
    }

    /// A reading end of its own.
    pub(crate) fn watch(&self) -> CredentialsWatch {
        self.credentials.clone()
    }

    /// Signs with given credentials, so that the caller knows which ones a server refused.
    pub(crate) fn header(
        &self,
        credentials: &Credentials,
        method: &Method,
        url: &Url,
        payload: Option<(&str, &[u8])>,
    ) -> Result<HeaderValue, SignError> {
        let hash = payload
            .map(|(kind, body)| hash_of(kind, body))
            .transpose()?;
        let ext = self.ext(credentials)?;
        let mut request = RequestBuilder::from_url(method.as_str(), url)?.hash(hash.as_deref());
        if let Some(ext) = &ext {
            request = request.ext(&**ext);
        }
        let header = request
            .request()
            .make_header(&hawk_credentials(credentials)?)?;
        let mut value =
            HeaderValue::from_str(&format!("Hawk {header}")).map_err(|_| SignError::ClientId)?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn bewit(
        &self,
        credentials: &Credentials,
        url: &Url,
        lifetime: Duration,
    ) -> Result<String, SignError> {
        // A backslash separates the fields of a bewit, and there is no way to escape one.
        if credentials.client_id.contains('\\') {
            return Err(SignError::ClientId);
        }
        let ext = self.ext(credentials)?;
        let mut request = RequestBuilder::from_url("GET", url)?;
        if let Some(ext) = &ext {
            request = request.ext(&**ext);
        }
        let key = hawk_credentials(credentials)?;
        let bewit = request
            .request()
            .make_bewit(&key, SystemTime::now() + lifetime)?;
        Ok(bewit.to_str())
    }

    /// What Taskcluster wants to know beside the client id.
    fn ext(&self, credentials: &Credentials) -> Result<Option<String>, SignError> {
        if credentials.certificate.is_none() && self.authorized.is_none() {
            return Ok(None);
        }
        let certificate = credentials
            .certificate
            .as_ref()
            .map(untouched)
            .transpose()?;
        let ext = Ext {
            certificate,
            authorized_scopes: self.authorized.as_ref(),
        };
        let json = serde_json::to_vec(&ext).map_err(|_| SignError::Certificate)?;
        Ok(Some(STANDARD.encode(json)))
    }
}

/// A request or URL could not be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The URL is none.
    #[error("cannot sign what is no URL")]
    Url(#[source] url::ParseError),

    /// The certificate of temporary credentials is not the JSON that the queue gave.
    #[error("cannot sign: the certificate is not valid JSON; pass it on exactly as it came")]
    Certificate,

    /// The client id has characters that Hawk cannot carry.
    #[error("cannot sign: the client id has characters that Hawk cannot carry")]
    ClientId,

    /// Hawk refused.
    #[error("cannot sign with Hawk")]
    Hawk(#[source] BoxError),
}

impl From<hawk::Error> for SignError {
    fn from(error: hawk::Error) -> Self {
        Self::Hawk(error.into())
    }
}

/// The contents of `ext`. The certificate stays the text that it is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ext<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorized_scopes: Option<&'a ScopeSet>,
}

fn untouched(certificate: &SecretString) -> Result<&RawValue, SignError> {
    serde_json::from_str(certificate.expose_secret()).map_err(|_| SignError::Certificate)
}

fn hawk_credentials(credentials: &Credentials) -> Result<hawk::Credentials, SignError> {
    let key = Key::new(
        credentials.access_token.expose_secret(),
        DigestAlgorithm::Sha256,
    )?;
    Ok(hawk::Credentials {
        id: credentials.client_id.clone(),
        key,
    })
}

/// Hashes a body as Hawk wants it: with the bare content type.
fn hash_of(content_type: &str, body: &[u8]) -> Result<Vec<u8>, SignError> {
    let bare = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    Ok(PayloadHasher::hash(bare, DigestAlgorithm::Sha256, body)?)
}
