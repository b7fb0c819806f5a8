//! A client of a deployment.

use std::fmt;
use std::sync::Arc;

use runtime_core::{ApiError, CredentialsWatch, ScopeSet};
use serde::de::DeserializeOwned;

use crate::authorizer::Authorizer;
use crate::transport::call::Call;
use crate::transport::shared::Transport;
use crate::undelivered_claims::UndeliveredClaims;

/// Calls the services of a deployment with the current credentials. Cheap to clone.
///
/// Engines and plugins use it through the ports [`Queue`](runtime_core::queue::Queue),
/// [`Index`](runtime_core::index::Index), [`Objects`](runtime_core::object::Objects) and
/// [`ArtifactUploader`](runtime_core::artifact::ArtifactUploader). Calls that only an application makes are inherent
/// methods.
///
/// Every call is retried within [`RetrySettings`](crate::RetrySettings), and each attempt is signed separately. After a
/// 401, and while its credentials are known to have expired, a call waits for replacements for up to
/// [`credentials_wait`](crate::ClientSettings::credentials_wait).
#[derive(Clone)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
    pub(crate) authorizer: Authorizer,
    pub(crate) undelivered_claims: Arc<UndeliveredClaims>,
}

impl Client {
    pub(crate) fn new(transport: Arc<Transport>, credentials: CredentialsWatch) -> Self {
        let authorizer = Authorizer::with_clock(credentials, transport.service_clock.clone());
        Self::with_authorizer(transport, authorizer)
    }

    /// Returns a client that is limited to `scopes`: the services reject requests that these do not satisfy.
    #[must_use]
    pub fn with_authorized_scopes(&self, scopes: &ScopeSet) -> Self {
        let authorizer = self.authorizer.with_authorized_scopes(scopes);
        Self::with_authorizer(Arc::clone(&self.transport), authorizer)
    }

    /// Returns the authorizer, which signs requests that another program sends.
    #[must_use]
    pub fn authorizer(&self) -> &Authorizer {
        &self.authorizer
    }

    /// Returns a client of the same deployment with other credentials.
    pub(crate) fn with_credentials(&self, credentials: CredentialsWatch) -> Self {
        Self::new(Arc::clone(&self.transport), credentials)
    }

    /// Pending claims are not shared: they belong to the credentials that claimed them.
    fn with_authorizer(transport: Arc<Transport>, authorizer: Authorizer) -> Self {
        Self {
            transport,
            authorizer,
            undelivered_claims: Arc::default(),
        }
    }

    /// Executes a call and parses the response.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, ApiError> {
        let body = self.transport.execute(&self.authorizer, &call).await?;
        serde_json::from_slice(&body).map_err(|error| call.unexpected_response(error))
    }

    /// Executes a call whose response has no content.
    pub(crate) async fn call_no_content(&self, call: Call) -> Result<(), ApiError> {
        self.transport
            .execute(&self.authorizer, &call)
            .await
            .map(drop)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client")
            .field(&self.transport.root_url())
            .finish()
    }
}
