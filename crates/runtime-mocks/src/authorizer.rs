//! An authorizer whose signatures a test can read.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Uri};
use runtime_core::{CredentialsWatch, RequestAuthorizer, ScopeSet, Secret, SignError};
use serde_json::json;

/// The client id in signatures without credentials.
const DEFAULT_CLIENT_ID: &str = "mock";

/// An authorizer whose signatures list the signed values. No service accepts them.
///
/// A header is `Mock ` and a JSON object with `clientId`, `method`, `url`, the `contentType` of the payload, and
/// `authorizedScopes` if they were limited. A URL gets the client id as `bewit`. Without credentials, the client id is
/// `mock`. To test with signatures that are verified, use the embedded Taskcluster.
///
/// ```
/// use http::Method;
/// use runtime_core::{Credentials, RequestAuthorizer as _};
/// use runtime_mocks::TestTask;
/// use serde_json::json;
///
/// let task = TestTask::with_scopes(json!({}), &["secrets:get:a"]);
/// let proxy = task.context().authorizer().with_authorized_scopes(task.context().info().scopes());
///
/// // The worker replaces the credentials when it reclaims the task.
/// task.controller().set_credentials(Credentials::new("task-client/2", "a-secret-token"));
/// let header = proxy.sign_header(&Method::GET, "https://tc.example.com/api/secrets/v1/secret/a", None)?;
/// let signed: serde_json::Value = serde_json::from_str(&header.to_str()?["Mock ".len()..])?;
/// assert_eq!(signed["clientId"], "task-client/2");
/// assert_eq!(signed["authorizedScopes"], json!(["secrets:get:a"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MockAuthorizer {
    credentials: CredentialsWatch,
    authorized: Option<ScopeSet>,
}

impl MockAuthorizer {
    /// Creates an authorizer that uses the client id of the current credentials.
    #[must_use]
    pub fn new(credentials: CredentialsWatch) -> Self {
        Self {
            credentials,
            authorized: None,
        }
    }

    fn client_id(&self) -> String {
        let credentials = self.credentials.snapshot();
        credentials.map_or_else(|| DEFAULT_CLIENT_ID.to_owned(), |it| it.client_id)
    }
}

impl RequestAuthorizer for MockAuthorizer {
    fn sign_header(
        &self,
        method: &Method,
        url: &str,
        payload: Option<(&str, &[u8])>,
    ) -> Result<HeaderValue, SignError> {
        check_url(url)?;
        let mut signed = json!({
            "clientId": self.client_id(),
            "method": method.as_str(),
            "url": url,
        });
        if let Some((content_type, _)) = payload {
            signed["contentType"] = content_type.into();
        }
        if let Some(authorized) = &self.authorized {
            signed["authorizedScopes"] = authorized.iter().collect();
        }
        HeaderValue::from_str(&format!("Mock {signed}")).map_err(|_| SignError::ClientId)
    }

    fn sign_url(&self, url: &str, _: Duration) -> Result<Secret, SignError> {
        check_url(url)?;
        let separator = if url.contains('?') { '&' } else { '?' };
        Ok(Secret::new(format!(
            "{url}{separator}bewit={}",
            self.client_id()
        )))
    }

    fn with_authorized_scopes(&self, scopes: &ScopeSet) -> Arc<dyn RequestAuthorizer> {
        let authorized = match &self.authorized {
            Some(earlier) => earlier.intersection(scopes),
            None => scopes.clone(),
        };
        Arc::new(Self {
            credentials: self.credentials.clone(),
            authorized: Some(authorized),
        })
    }
}

/// Refuses URLs that the real authorizer refuses: those that are invalid or relative.
fn check_url(url: &str) -> Result<(), SignError> {
    let uri: Uri = url
        .parse()
        .map_err(|error: http::uri::InvalidUri| SignError::Url(error.into()))?;
    match uri.scheme() {
        Some(_) => Ok(()),
        None => Err(SignError::Url("the URL has no scheme".into())),
    }
}
