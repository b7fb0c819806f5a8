//! Temporary credentials: how they are made, and how their certificates are checked.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hawk::{Key, SHA256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::slug::token;
use super::time::{after, before};

/// What a service hands out: an id, a token, and the certificate that vouches for them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TemporaryCredentials {
    pub(super) client_id: String,
    pub(super) access_token: String,
    /// JSON in a string, as clients pass it on.
    pub(super) certificate: String,
}

/// The certificate of temporary credentials.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Certificate {
    version: u32,
    pub(super) scopes: Vec<String>,
    /// Milliseconds since 1970.
    start: i64,
    /// Milliseconds since 1970.
    expiry: i64,
    seed: String,
    signature: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<String>,
}

/// How long temporary credentials may live.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// By how much the clocks of issuer and server may differ.
const LEEWAY: Duration = Duration::from_secs(5 * 60);

/// Who issues credentials.
pub(super) struct Issuer<'a> {
    pub(super) client_id: &'a str,
    pub(super) access_token: &'a str,
}

impl Issuer<'_> {
    /// Makes named temporary credentials.
    pub(super) fn issue(
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
    /// The client that issued it: named, or the client itself.
    pub(super) fn issued_by<'a>(&'a self, client_id: &'a str) -> &'a str {
        self.issuer.as_deref().unwrap_or(client_id)
    }

    /// When the credentials end.
    pub(super) fn expires(&self) -> Timestamp {
        Timestamp::from_millisecond(self.expiry).unwrap_or(Timestamp::MIN)
    }

    /// Checks everything but scopes; gives the token that signs requests.
    pub(super) fn verify(
        &self,
        client_id: &str,
        issuer_token: &str,
        now: Timestamp,
    ) -> Result<String, String> {
        let start = Timestamp::from_millisecond(self.start).unwrap_or(Timestamp::MAX);
        let fault = match () {
            () if self.version != 1 => "ext.certificate.version must be 1",
            () if self.seed.len() != 44 => "ext.certificate.seed must be 44 characters",
            () if self.issuer.as_deref() == Some(client_id) => {
                "ext.certificate.issuer must not be the supplied clientId"
            }
            () if start > after(now, LEEWAY) => "ext.certificate.start > now",
            () if self.expires() < before(now, LEEWAY) => "ext.certificate.expiry < now",
            () if self.expires() > after(start, LONGEST) => {
                "ext.certificate cannot last longer than 31 days!"
            }
            () if !same(&self.sign(client_id, issuer_token), &self.signature) => {
                "ext.certificate.signature is not valid"
            }
            () => return Ok(derive_token(issuer_token, &self.seed)),
        };
        Err(fault.to_owned())
    }

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

/// The token of temporary credentials.
fn derive_token(issuer_token: &str, seed: &str) -> String {
    URL_SAFE_NO_PAD.encode(hmac(issuer_token, seed))
}

/// HMAC-SHA256.
pub(super) fn hmac(key: &str, text: &str) -> Vec<u8> {
    Key::new(key, SHA256)
        .and_then(|key| key.sign(text.as_bytes()))
        .expect("HMAC-SHA256 takes keys of any length")
}

/// Compares secrets in a time that does not depend on where they differ.
pub(super) fn same(one: &str, other: &str) -> bool {
    let differ = one
        .bytes()
        .zip(other.bytes())
        .fold(0, |differ, (a, b)| differ | (a ^ b));
    one.len() == other.len() && differ == 0
}
