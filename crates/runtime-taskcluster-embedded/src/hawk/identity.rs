//! The client behind a signature: permanent or temporary credentials, and their scopes.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hawk::{Key, SHA256};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::credentials::Certificate;
use crate::scopes::satisfies;
use crate::state::clients::AuthClient;

/// The client that signed a request.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) client_id: String,
    /// The granted scopes, with those of the roles that they may assume.
    pub(crate) scopes: Vec<String>,
    pub(crate) expires: Timestamp,
    /// The signed hash of the payload.
    pub(crate) payload_hash: Option<Vec<u8>>,
}

/// Access to clients and roles.
pub(crate) trait ClientsAndRoles {
    /// Returns a client by its id.
    fn client(&self, client_id: &str) -> Option<Arc<AuthClient>>;

    /// Adds the scopes of all roles that the given scopes may assume.
    fn assume(&self, scopes: Vec<String>) -> Vec<String>;

    /// Returns the scopes that every request has.
    fn anonymous(&self) -> Arc<[String]>;
}

/// The `ext` of a signature: base64 of JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    certificate: Option<Value>,
    authorized_scopes: Option<Vec<String>>,
}

/// Returns the client with its effective scopes, and the key that its signature must match.
///
/// The signature itself is verified after this: until then the result is a claim.
pub(super) fn identify(
    id: &str,
    ext: Option<&str>,
    now: Timestamp,
    clients: &dyn ClientsAndRoles,
) -> Result<(Signer, Key), String> {
    let ext = ext.map(parse_extension).transpose()?.unwrap_or_default();
    let (scopes, expires, token) = match ext.certificate {
        None => {
            let client = find_client(id, now, clients)?;
            let token = client.token().to_owned();
            (client.scopes.clone(), client.expires, token)
        }
        Some(certificate) => {
            let certificate = parse_certificate(certificate)?;
            let issuer = find_client(certificate.issued_by(id), now, clients)?;
            let token = certificate.verify(id, issuer.token(), now)?;
            check_issuer(id, &certificate, &clients.assume(issuer.scopes.clone()))?;
            let expires = certificate.expires();
            (certificate.scopes, expires, token)
        }
    };
    // Roles are expanded for each request: a changed role applies at once to issued credentials.
    let scopes = authorize(clients.assume(scopes), ext.authorized_scopes, clients)?;
    let key = Key::new(token, SHA256).map_err(|error| error.to_string())?;
    let signer = Signer {
        client_id: id.to_owned(),
        scopes,
        expires,
        payload_hash: None,
    };
    Ok((signer, key))
}

fn find_client(
    id: &str,
    now: Timestamp,
    clients: &dyn ClientsAndRoles,
) -> Result<Arc<AuthClient>, String> {
    match clients.client(id) {
        None => Err(format!("Client with clientId '{id}' not found")),
        Some(client) if client.disabled => Err(format!("Client with clientId '{id}' is disabled")),
        Some(client) if client.expires < now => {
            Err(format!("Client with clientId '{id}' has expired"))
        }
        Some(client) => Ok(client),
    }
}

/// Restricts the scopes to `authorizedScopes`, if the request has them.
fn authorize(
    scopes: Vec<String>,
    authorized: Option<Vec<String>>,
    clients: &dyn ClientsAndRoles,
) -> Result<Vec<String>, String> {
    let Some(authorized) = authorized else {
        return Ok(scopes);
    };
    let anonymous = clients.anonymous();
    let is_allowed = |scope: &String| satisfies(&scopes, scope) || satisfies(&anonymous, scope);
    if !authorized.iter().all(is_allowed) {
        return Err("ext.authorizedScopes oversteps your scopes".to_owned());
    }
    Ok(clients.assume(authorized))
}

fn check_issuer(id: &str, certificate: &Certificate, issuer: &[String]) -> Result<(), String> {
    // A named certificate gives the client a new id, which takes the scope to create that client.
    let create_client = format!("auth:create-client:{id}");
    if certificate.issuer.is_some() && !satisfies(issuer, &create_client) {
        return Err(format!(
            "ext.certificate.issuer doesn't have `{create_client}` for supplied clientId"
        ));
    }
    let mut scopes = certificate.scopes.iter();
    if !scopes.all(|scope| satisfies(issuer, scope)) {
        return Err("ext.certificate issuer doesn't satisfy the certificate's scopes".to_owned());
    }
    Ok(())
}

fn parse_extension(ext: &str) -> Result<Extension, String> {
    let bytes = STANDARD
        .decode(ext)
        .map_err(|_| "Failed to parse ext".to_owned())?;
    serde_json::from_slice(&bytes).map_err(|_| "Failed to parse ext".to_owned())
}

fn parse_certificate(certificate: Value) -> Result<Certificate, String> {
    serde_json::from_value(certificate)
        .map_err(|error| format!("ext.certificate is malformed: {error}"))
}
