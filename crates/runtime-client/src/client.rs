//! A client: a way to a deployment, with credentials.

use std::fmt;
use std::sync::Arc;

use runtime_core::{CredentialsWatch, ScopeSet};

use crate::Authorizer;
use crate::queue::Claims;
use crate::transport::Transport;

/// Calls the services of a deployment with the credentials of the moment. A clone is cheap.
///
/// What engines and plugins use of it are the ports [`Queue`](runtime_core::queue::Queue),
/// [`Index`](runtime_core::index::Index) and [`ArtifactUploader`](runtime_core::artifact::ArtifactUploader);
/// what only an application calls are methods of its own.
///
/// Every call is tried again within [`RetrySettings`](crate::RetrySettings), each attempt signed anew.
/// A 401, and credentials that are known to have expired, wait for others for up to
/// [`credentials_wait`](crate::ClientSettings::credentials_wait).
#[derive(Clone)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
    pub(crate) authorizer: Authorizer,
    pub(crate) claims: Arc<Claims>,
}

impl Client {
    pub(crate) fn new(transport: Arc<Transport>, credentials: CredentialsWatch) -> Self {
        Self {
            transport,
            authorizer: Authorizer::new(credentials),
            claims: Arc::default(),
        }
    }

    /// The same client with less power: requests are refused that `scopes` do not allow.
    #[must_use]
    pub fn with_authorized_scopes(&self, scopes: &ScopeSet) -> Self {
        let authorizer = self.authorizer.with_authorized_scopes(scopes);
        Self {
            transport: Arc::clone(&self.transport),
            authorizer,
            claims: Arc::default(),
        }
    }

    /// Signs requests that this client does not make itself.
    #[must_use]
    pub fn authorizer(&self) -> &Authorizer {
        &self.authorizer
    }

    /// A client of the same deployment with other credentials.
    pub(crate) fn with_credentials(&self, credentials: CredentialsWatch) -> Self {
        Self::new(Arc::clone(&self.transport), credentials)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client")
            .field(&self.transport.root())
            .finish()
    }
}
