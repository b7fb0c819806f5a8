//! Temporary credentials: how the services issue them and verify their certificates.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hawk::{Key, SHA256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::slugid::token;
use crate::time::{after, before};

/// Temporary credentials in the format of responses.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TemporaryCredentials {
    pub(crate) client_id: String,
    pub(crate) access_token: String,
    /// JSON in a string, as clients pass it on.
    pub(crate) certificate: String,
}

/// The certificate of temporary credentials.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Certificate {
    version: u32,
    pub(crate) scopes: Vec<String>,
    /// In milliseconds since 1970.
    start: i64,
    /// In milliseconds since 1970.
    expiry: i64,
    seed: String,
    signature: String,
    /// The issuing client. `None` for unnamed credentials, which a client issues to itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
}

/// The longest lifetime of temporary credentials.
const MAX_LIFETIME: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// The tolerated difference between the clocks of issuer and server.
const CLOCK_LEEWAY: Duration = Duration::from_secs(5 * 60);
/// The length of a seed: two slugids.
const SEED_LENGTH: usize = 44;

/// A client that issues credentials.
pub(crate) struct Issuer<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) access_token: &'a str,
}

impl Issuer<'_> {
    /// Issues named temporary credentials.
    pub(crate) fn issue(
        &self,
        client_id: String,
        scopes: Vec<String>,
        start: Timestamp,
        expiry: Timestamp,
    ) -> TemporaryCredentials {
        let mut certificate = Certificate {
            version: 1,
            scopes,
            start: start.as_millisecond(),
            expiry: expiry.as_millisecond(),
            seed: token(),
            signature: String::new(),
            issuer: Some(self.client_id.to_owned()),
        };
        certificate.signature = certificate.sign(&client_id, self.access_token);
        TemporaryCredentials {
            client_id,
            access_token: derive_token(self.access_token, &certificate.seed),
            certificate: serde_json::to_string(&certificate).unwrap_or_default(),
        }
    }
}

impl Certificate {
    /// Returns the client that issued the certificate.
    pub(crate) fn issued_by<'a>(&'a self, client_id: &'a str) -> &'a str {
        self.issuer.as_deref().unwrap_or(client_id)
    }

    pub(crate) fn expires(&self) -> Timestamp {
        Timestamp::from_millisecond(self.expiry).unwrap_or(Timestamp::MIN)
    }

    /// Verifies everything except the scopes, and returns the token that signs requests.
    pub(crate) fn verify(
        &self,
        client_id: &str,
        issuer_token: &str,
        now: Timestamp,
    ) -> Result<String, String> {
        let start = Timestamp::from_millisecond(self.start).unwrap_or(Timestamp::MAX);
        // The signature is checked last, as in the real service: other problems have a message that
        // says more.
        let problem = if self.version != 1 {
            "ext.certificate.version must be 1"
        } else if self.seed.len() != SEED_LENGTH {
            "ext.certificate.seed must be 44 characters"
        } else if self.issuer.as_deref() == Some(client_id) {
            "ext.certificate.issuer must not be the supplied clientId"
        } else if start > after(now, CLOCK_LEEWAY) {
            "ext.certificate.start > now"
        } else if self.expires() < before(now, CLOCK_LEEWAY) {
            "ext.certificate.expiry < now"
        } else if self.expires() > after(start, MAX_LIFETIME) {
            "ext.certificate cannot last longer than 31 days!"
        } else if !constant_time_eq(&self.sign(client_id, issuer_token), &self.signature) {
            "ext.certificate.signature is not valid"
        } else {
            return Ok(derive_token(issuer_token, &self.seed));
        };
        Err(problem.to_owned())
    }

    /// Returns the signature of the certificate.
    ///
    /// The lines and their order are part of the protocol. Only a named certificate signs
    /// `clientId` and `issuer`.
    fn sign(&self, client_id: &str, issuer_token: &str) -> String {
        let mut lines = vec![format!("version:{}", self.version)];
        if let Some(issuer) = &self.issuer {
            lines.push(format!("clientId:{client_id}"));
            lines.push(format!("issuer:{issuer}"));
        }
        lines.push(format!("seed:{}", self.seed));
        lines.push(format!("start:{}", self.start));
        lines.push(format!("expiry:{}", self.expiry));
        lines.push("scopes:".to_owned());
        lines.extend(self.scopes.iter().cloned());
        STANDARD.encode(hmac(issuer_token, &lines.join("\n")))
    }
}

/// Returns the access token of temporary credentials.
///
/// It follows from the issuer's token and the seed, so the services do not store credentials.
fn derive_token(issuer_token: &str, seed: &str) -> String {
    URL_SAFE_NO_PAD.encode(hmac(issuer_token, seed))
}

/// Returns the HMAC-SHA256 of a text.
pub(crate) fn hmac(key: &str, text: &str) -> Vec<u8> {
    Key::new(key, SHA256)
        .and_then(|key| key.sign(text.as_bytes()))
        .expect("HMAC-SHA256 accepts keys of any length")
}

/// Compares two secrets in a time that does not depend on the position of the first difference.
pub(crate) fn constant_time_eq(one: &str, other: &str) -> bool {
    let difference = one
        .bytes()
        .zip(other.bytes())
        .fold(0, |difference, (a, b)| difference | (a ^ b));
    one.len() == other.len() && difference == 0
}
