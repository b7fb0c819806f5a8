//! A deployment that is spoken to over HTTP.

use std::fmt;
use std::sync::Arc;

use runtime_core::{CredentialsWatch, Deployment, Services};
use url::Url;

use crate::client::Client;
use crate::client_error::ClientError;
use crate::settings::ClientSettings;
use crate::transport::Transport;

/// A Taskcluster deployment, named by its root URL.
///
/// It holds one pool of connections and one limit for concurrent uploads, which all clients made of it
/// share. A clone is cheap. Nothing is sent before a client is asked to.
#[derive(Clone)]
pub struct TaskclusterDeployment {
    transport: Arc<Transport>,
}

impl TaskclusterDeployment {
    /// Prepares to speak to the deployment at `root_url`, such as `https://tc.example.com`.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if the URL cannot be one of a deployment, or the machine trusts no certificates.
    pub fn new(root_url: &str) -> Result<Self, ClientError> {
        Self::with_settings(root_url, ClientSettings::default())
    }

    /// The same with settings of your own.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if the URL cannot be one of a deployment, a setting cannot be met, or the
    /// machine trusts no certificates.
    pub fn with_settings(root_url: &str, settings: ClientSettings) -> Result<Self, ClientError> {
        let root = check_root(root_url)?;
        let transport = Transport::new(root, settings)?;
        Ok(Self {
            transport: Arc::new(transport),
        })
    }

    /// Makes a client whose requests are signed with what `credentials` holds when each is sent.
    #[must_use]
    pub fn client(&self, credentials: CredentialsWatch) -> Client {
        Client::new(Arc::clone(&self.transport), credentials)
    }
}

impl Deployment for TaskclusterDeployment {
    fn root_url(&self) -> &str {
        self.transport.root()
    }

    fn connect(&self, credentials: CredentialsWatch) -> Services {
        let client = Arc::new(self.client(credentials));
        Services {
            queue: client.clone(),
            index: client.clone(),
            objects: client.clone(),
            uploader: client,
        }
    }
}

impl fmt::Debug for TaskclusterDeployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskclusterDeployment")
            .field(&self.transport.root())
            .finish()
    }
}

/// Parses a root URL; gives it back without a slash at the end.
fn check_root(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text).map_err(|source| ClientError::RootUrl {
        root_url: text.to_owned(),
        source,
    })?;
    match problem_of(&url) {
        None => Ok(url),
        Some(problem) => Err(ClientError::Unsuitable {
            root_url: without_user(url),
            problem,
        }),
    }
}

fn problem_of(url: &Url) -> Option<&'static str> {
    if !matches!(url.scheme(), "http" | "https") {
        return Some("the scheme must be http or https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("user name and password have no place in it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some("it has a query or a fragment");
    }
    None
}

/// Takes out what may be a password, so that an error can show the rest.
fn without_user(mut url: Url) -> String {
    // Both fail only for URLs that have no host, and those have no user either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}
