//! Taskcluster credentials, and a cell to replace them while requests use them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::{Notify, watch};

use crate::clock::deserialize_optional_timestamp;

/// Credentials that sign requests to Taskcluster.
///
/// `Debug` shows only the client id.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The client id; not a secret.
    pub client_id: String,
    /// The secret key that signs requests.
    pub access_token: SecretString,
    /// The certificate of temporary credentials, which requests contain unchanged.
    #[serde(default)]
    pub certificate: Option<SecretString>,
    /// The expiry, if known.
    #[serde(default, deserialize_with = "deserialize_optional_timestamp")]
    pub expires: Option<Timestamp>,
}

impl Credentials {
    /// Creates permanent credentials.
    pub fn new(client_id: impl Into<String>, access_token: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            access_token: SecretString::from(access_token.into()),
            certificate: None,
            expires: None,
        }
    }

    /// Sets the certificate of temporary credentials.
    #[must_use]
    pub fn with_certificate(mut self, certificate: impl Into<String>) -> Self {
        self.certificate = Some(SecretString::from(certificate.into()));
        self
    }

    /// Sets the expiry.
    #[must_use]
    pub fn with_expiry(mut self, expires: Timestamp) -> Self {
        self.expires = Some(expires);
        self
    }

    /// Returns the lifetime of temporary credentials, from the start to the expiry of their certificate. `None` for
    /// permanent ones and for a certificate in an unknown format.
    ///
    /// The start of a certificate is some minutes before its issue, so that servers whose clock is slow accept
    /// it too. Both times are by the clock of the service, so the lifetime does not depend on the local clock.
    #[must_use]
    pub fn certificate_lifetime(&self) -> Option<Duration> {
        let certificate = self.certificate.as_ref()?.expose_secret();
        let CertificateTimes { start, expiry } = serde_json::from_str(certificate).ok()?;
        expiry.checked_sub(start).map(Duration::from_millis)
    }

    /// Returns the secret texts, for a redactor.
    ///
    /// Of a certificate, only the seed and the signature are returned: without them, the certificate cannot be
    /// used. A redactor with the whole text would also hide scopes and dates, which are not secret and often
    /// printed.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let certificate = self.certificate.as_ref().map(ExposeSecret::expose_secret);
        std::iter::once(self.access_token.expose_secret())
            .chain(certificate.into_iter().flat_map(secrets_of_certificate))
    }
}

/// The fields of a certificate that are secret.
#[derive(Deserialize)]
struct Certificate<'a> {
    seed: &'a str,
    signature: &'a str,
}

/// The fields of a certificate with its validity, in milliseconds since 1970.
#[derive(Deserialize)]
struct CertificateTimes {
    start: u64,
    expiry: u64,
}

fn secrets_of_certificate(text: &str) -> Vec<&str> {
    // A certificate in an unknown format is secret as a whole.
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

/// The writing half of replaceable credentials, which each reclaim replaces.
#[derive(Debug)]
pub struct CredentialsCell {
    sender: watch::Sender<Option<Credentials>>,
    refused: Arc<Notify>,
}

impl CredentialsCell {
    /// Creates a cell. `None` means anonymous access.
    #[must_use]
    pub fn new(credentials: Option<Credentials>) -> Self {
        Self {
            sender: watch::Sender::new(credentials),
            refused: Arc::default(),
        }
    }

    /// Replaces the credentials. Requests signed afterwards use the new ones.
    pub fn set(&self, credentials: Credentials) {
        self.sender.send_replace(Some(credentials));
    }

    /// Removes the credentials. Nothing is signed afterwards.
    pub fn clear(&self) {
        self.sender.send_replace(None);
    }

    /// Returns a new reading half.
    #[must_use]
    pub fn watch(&self) -> CredentialsWatch {
        CredentialsWatch {
            receiver: self.sender.subscribe(),
            refused: Arc::clone(&self.refused),
        }
    }

    /// Waits until a reader [reports](CredentialsWatch::report_refused) that a service refused the credentials.
    ///
    /// # Cancel safety
    ///
    /// Safe: a report not returned by a dropped future is returned by the next call.
    pub async fn refused(&self) {
        self.refused.notified().await;
    }
}

/// The reading half of replaceable credentials.
#[derive(Clone, Debug)]
pub struct CredentialsWatch {
    receiver: watch::Receiver<Option<Credentials>>,
    refused: Arc<Notify>,
}

impl CredentialsWatch {
    /// Creates credentials that never change.
    #[must_use]
    pub fn fixed(credentials: Option<Credentials>) -> Self {
        CredentialsCell::new(credentials).watch()
    }

    /// Returns the current credentials. Call it for each attempt of a request.
    #[must_use]
    pub fn snapshot(&self) -> Option<Credentials> {
        self.receiver.borrow().clone()
    }

    /// Reports that a service refused the current credentials, so that the owner of the cell can renew them.
    pub fn report_refused(&self) {
        // Stored if nothing waits at the moment. Reports of concurrent requests are merged: one reclaim
        // renews the credentials of all.
        self.refused.notify_one();
    }

    /// Waits until the credentials were replaced since the last call; `false` if the cell was dropped.
    ///
    /// # Cancel safety
    ///
    /// Safe: a change not returned by a dropped future is returned by the next call.
    pub async fn changed(&mut self) -> bool {
        self.receiver.changed().await.is_ok()
    }
}

impl From<Credentials> for CredentialsWatch {
    /// Creates credentials that never change.
    fn from(credentials: Credentials) -> Self {
        Self::fixed(Some(credentials))
    }
}
