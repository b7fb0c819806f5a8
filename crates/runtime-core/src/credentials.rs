//! Credentials, and the cell in which they change while they are used.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::{Notify, watch};

/// What signs requests to Taskcluster.
///
/// `Debug` shows the client id and nothing else.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Names the client; not a secret.
    pub client_id: String,
    /// Signs the requests.
    pub access_token: SecretString,
    /// Comes with temporary credentials, to be passed on untouched.
    #[serde(default)]
    pub certificate: Option<SecretString>,
    /// When the credentials end, if they do and whoever made them told.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

impl Credentials {
    /// Makes permanent credentials.
    pub fn new(client_id: impl Into<String>, access_token: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            access_token: SecretString::from(access_token.into()),
            certificate: None,
            expires: None,
        }
    }

    /// Adds the certificate of temporary credentials.
    #[must_use]
    pub fn with_certificate(mut self, certificate: impl Into<String>) -> Self {
        self.certificate = Some(SecretString::from(certificate.into()));
        self
    }

    /// Says when the credentials end.
    #[must_use]
    pub fn with_expiry(mut self, expires: Timestamp) -> Self {
        self.expires = Some(expires);
        self
    }

    /// The values that must never be seen, for a redactor.
    ///
    /// Of a certificate, those are its seed and its signature, without which it is of no use. The scopes and
    /// times in it are no secrets, and to look for all of its text in all of its forms would cost more than
    /// everything else that is done for a small task.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let certificate = self.certificate.as_ref().map(ExposeSecret::expose_secret);
        std::iter::once(self.access_token.expose_secret())
            .chain(certificate.into_iter().flat_map(secrets_of_certificate))
    }
}

/// What of a certificate is a secret.
#[derive(Deserialize)]
struct Certificate<'a> {
    seed: &'a str,
    signature: &'a str,
}

/// All of a text that is not understood is taken for a secret.
fn secrets_of_certificate(text: &str) -> Vec<&str> {
    match serde_json::from_str(text) {
        Ok(Certificate { seed, signature }) => vec![seed, signature],
        Err(_) => vec![text],
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// The writing end of credentials that change: a reclaim puts new ones in.
#[derive(Debug)]
pub struct CredentialsCell {
    sender: watch::Sender<Option<Credentials>>,
    refused: Arc<Notify>,
}

impl CredentialsCell {
    /// Makes a cell; `None` is for anonymous use.
    #[must_use]
    pub fn new(credentials: Option<Credentials>) -> Self {
        Self {
            sender: watch::Sender::new(credentials),
            refused: Arc::default(),
        }
    }

    /// Replaces the credentials; requests that are signed from now on use the new ones.
    pub fn set(&self, credentials: Credentials) {
        self.sender.send_replace(Some(credentials));
    }

    /// A reading end.
    #[must_use]
    pub fn watch(&self) -> CredentialsWatch {
        CredentialsWatch {
            receiver: self.sender.subscribe(),
            refused: Arc::clone(&self.refused),
        }
    }

    /// Waits until somebody finds that the credentials are refused, so that whoever can get others does.
    ///
    /// # Cancel safety
    ///
    /// Safe: a complaint that nobody waited for is heard by the next call.
    pub async fn refused(&self) {
        self.refused.notified().await;
    }
}

/// The reading end of credentials that change.
#[derive(Clone, Debug)]
pub struct CredentialsWatch {
    receiver: watch::Receiver<Option<Credentials>>,
    refused: Arc<Notify>,
}

impl CredentialsWatch {
    /// Credentials that never change.
    #[must_use]
    pub fn fixed(credentials: Option<Credentials>) -> Self {
        CredentialsCell::new(credentials).watch()
    }

    /// The credentials of this moment: take them anew for every attempt of a request.
    #[must_use]
    pub fn snapshot(&self) -> Option<Credentials> {
        self.receiver.borrow().clone()
    }

    /// Tells whoever puts credentials in that those of this moment were refused.
    pub fn complain(&self) {
        self.refused.notify_one();
    }

    /// Waits until other credentials than those of the last call are there; `false` when none can come.
    ///
    /// # Cancel safety
    ///
    /// Safe: a change that this call did not return is seen by the next.
    pub async fn changed(&mut self) -> bool {
        self.receiver.changed().await.is_ok()
    }
}
