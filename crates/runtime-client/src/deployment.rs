//! A Taskcluster deployment over HTTP.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use runtime_core::{CredentialsWatch, Deployment, Services};
use url::Url;

use crate::client::Client;
use crate::client_error::ClientError;
use crate::settings::ClientSettings;
use crate::transport::shared::Transport;

/// A Taskcluster deployment, identified by its root URL. Cheap to clone.
///
/// All clients created from one value share a connection pool and a limit for concurrent uploads. Nothing is sent
/// until a client is used.
#[derive(Clone)]
pub struct TaskclusterDeployment {
    transport: Arc<Transport>,
}

impl TaskclusterDeployment {
    /// Creates a deployment with default settings. `root_url` is a URL such as `https://tc.example.com`.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if the root URL is invalid or the machine has no root certificates.
    pub fn new(root_url: &str) -> Result<Self, ClientError> {
        Self::with_settings(root_url, ClientSettings::default())
    }

    /// Creates a deployment with the given settings.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if the root URL or a setting is invalid, or the machine has no root certificates.
    pub fn with_settings(root_url: &str, settings: ClientSettings) -> Result<Self, ClientError> {
        let transport = Transport::new(parse_root_url(root_url)?, settings)?;
        Ok(Self {
            transport: Arc::new(transport),
        })
    }

    /// Returns how far the clock of the services is ahead of that of this machine, as their last response showed it.
    /// Differences of less than a minute count as zero.
    ///
    /// Requests are signed with the time of the services, so a difference does no harm to them.
    #[must_use]
    pub fn clock_offset(&self) -> SignedDuration {
        SignedDuration::from_secs(self.transport.service_clock.offset())
    }

    /// Creates a client that signs each request with the current value of `credentials`.
    #[must_use]
    pub fn client(&self, credentials: CredentialsWatch) -> Client {
        Client::new(Arc::clone(&self.transport), credentials)
    }
}

impl Deployment for TaskclusterDeployment {
    fn root_url(&self) -> &str {
        self.transport.root_url()
    }

    fn connect(&self, credentials: CredentialsWatch) -> Services {
        let client = Arc::new(self.client(credentials));
        Services {
            queue: client.clone(),
            index: client.clone(),
            objects: client.clone(),
            authorizer: Arc::new(client.authorizer().clone()),
            uploader: client,
        }
    }
}

impl fmt::Debug for TaskclusterDeployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskclusterDeployment")
            .field(&self.transport.root_url())
            .finish()
    }
}

fn parse_root_url(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text).map_err(|source| ClientError::RootUrl {
        root_url: text.to_owned(),
        source,
    })?;
    match unsupported_part(&url) {
        None => Ok(url),
        Some(problem) => Err(ClientError::UnsupportedRootUrl {
            root_url: without_credentials(url),
            problem,
        }),
    }
}

fn unsupported_part(url: &Url) -> Option<&'static str> {
    if !matches!(url.scheme(), "http" | "https") {
        return Some("the scheme is not http or https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("it has a user name or password");
    }
    // Paths are appended to the text of the URL.
    if url.query().is_some() || url.fragment().is_some() {
        return Some("it has a query or fragment");
    }
    None
}

/// Removes user name and password, so that an error can contain the URL.
fn without_credentials(mut url: Url) -> String {
    // Both fail only for URLs without a host, which have no user name or password either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}
