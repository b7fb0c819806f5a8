//! Checks who signed a request, and what they may do.

mod instants;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hawk::{Bewit, Header, Key, PayloadHasher, RequestBuilder, SHA256};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::credentials::Certificate;
use super::scopes::satisfies;
use super::services::auth::clients::Client;

/// A request, as far as its signature is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    pub(super) port: u16,
    /// Path and query, as they came.
    pub(super) resource: &'a str,
    pub(super) authorization: Option<&'a str>,
}

/// Who signed a request.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) client_id: String,
    /// As granted, with those of the roles that they allow to assume.
    pub(super) scopes: Vec<String>,
    pub(super) expires: Timestamp,
    /// The hash of the payload that was signed.
    pub(super) hash: Option<Vec<u8>>,
}

/// Where clients and roles are looked up.
pub(super) trait Directory {
    /// The client of that name.
    fn client(&self, client_id: &str) -> Option<Arc<Client>>;

    /// The scopes with those of the roles that they allow to assume.
    fn assume(&self, scopes: Vec<String>) -> Vec<String>;

    /// What everybody may do.
    fn anonymous(&self) -> Arc<[String]>;
}

/// How far the clock of a client may be off.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// The `ext` of a signature.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    certificate: Option<Value>,
    authorized_scopes: Option<Vec<String>>,
}

/// Checks the signature, in the header or as a bewit; `None` if there is none.
///
/// Signatures are checked against the machine's clock, which signed them, and certificates against
/// `now`, which may be ahead.
pub(super) fn authenticate(
    request: Signed<'_>,
    now: Timestamp,
    directory: &dyn Directory,
) -> Result<Option<Signer>, String> {
    instants::check(request.resource, request.authorization)?;
    let unsigned =
        RequestBuilder::new(request.method, request.host, request.port, request.resource);
    let mut bewit = None;
    let unsigned = unsigned
        .extract_bewit(&mut bewit)
        .map_err(|error| error.to_string())?;
    match (request.authorization, bewit) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err("Unauthorized: Multiple authentications".to_owned()),
        (Some(header), None) => by_header(unsigned, header, now, directory).map(Some),
        (None, Some(bewit)) => by_bewit(unsigned, request.method, &bewit, now, directory).map(Some),
    }
}

fn by_header(
    request: RequestBuilder<'_>,
    header: &str,
    now: Timestamp,
    directory: &dyn Directory,
) -> Result<Signer, String> {
    let header = header
        .strip_prefix("Hawk ")
        .ok_or("Unauthorized: the scheme must be Hawk")?;
    let header = Header::from_str(header).map_err(|error| format!("Bad Request: {error}"))?;
    let (Some(id), Some(ts), Some(_), Some(_)) =
        (&header.id, header.ts, &header.nonce, &header.mac)
    else {
        return Err("Bad Request: Missing attributes".to_owned());
    };
    let (signer, key) = identify(id, header.ext.as_deref(), now, directory)?;
    if !request
        .request()
        .validate_header(&header, &key, Duration::MAX)
    {
        return Err("Unauthorized: Bad mac".to_owned());
    }
    let machine = SystemTime::now();
    let skew = machine
        .duration_since(ts)
        .or_else(|_| ts.duration_since(machine))
        .unwrap_or_default();
    if skew > SKEW {
        return Err("Unauthorized: Stale timestamp".to_owned());
    }
    Ok(Signer {
        hash: header.hash,
        ..signer
    })
}

fn by_bewit(
    request: RequestBuilder<'_>,
    method: &str,
    bewit: &Bewit<'_>,
    now: Timestamp,
    directory: &dyn Directory,
) -> Result<Signer, String> {
    if !matches!(method, "GET" | "HEAD") {
        return Err("Unauthorized: Invalid method".to_owned());
    }
    if bewit.exp() < SystemTime::now() {
        return Err("Unauthorized: Access expired".to_owned());
    }
    let (signer, key) = identify(bewit.id(), bewit.ext(), now, directory)?;
    match request.method("GET").request().validate_bewit(bewit, &key) {
        true => Ok(signer),
        false => Err("Unauthorized: Bad mac".to_owned()),
    }
}

/// Finds the client, applies its certificate and the scopes that it authorizes.
fn identify(
    id: &str,
    ext: Option<&str>,
    now: Timestamp,
    directory: &dyn Directory,
) -> Result<(Signer, Key), String> {
    let ext = ext.map(parse_extension).transpose()?.unwrap_or_default();
    let certificate = ext.certificate.map(parse_certificate).transpose()?;
    let known = |id: &str| {
        let client = directory
            .client(id)
            .ok_or_else(|| format!("Client with clientId '{id}' not found"))?;
        match () {
            () if client.disabled => Err(format!("Client with clientId '{id}' is disabled")),
            () if client.expires < now => Err(format!("Client with clientId '{id}' has expired")),
            () => Ok(client),
        }
    };
    let (scopes, expires, token) = match certificate {
        None => {
            let client = known(id)?;
            (
                client.scopes.clone(),
                client.expires,
                client.token().to_owned(),
            )
        }
        Some(certificate) => {
            let issuer = known(certificate.issued_by(id))?;
            let token = certificate.verify(id, issuer.token(), now)?;
            check_issuer(id, &certificate, &directory.assume(issuer.scopes.clone()))?;
            (certificate.scopes.clone(), certificate.expires(), token)
        }
    };
    let scopes = authorize(directory.assume(scopes), ext.authorized_scopes, directory)?;
    let key = Key::new(token, SHA256).map_err(|error| error.to_string())?;
    let client_id = id.to_owned();
    Ok((
        Signer {
            client_id,
            scopes,
            expires,
            hash: None,
        },
        key,
    ))
}

/// Lowers the scopes to those that the request authorizes, if it says so.
fn authorize(
    scopes: Vec<String>,
    authorized: Option<Vec<String>>,
    directory: &dyn Directory,
) -> Result<Vec<String>, String> {
    let Some(authorized) = authorized else {
        return Ok(scopes);
    };
    let anyone = directory.anonymous();
    let allowed = |scope: &String| satisfies(&scopes, scope) || satisfies(&anyone, scope);
    match authorized.iter().all(allowed) {
        true => Ok(directory.assume(authorized)),
        false => Err("ext.authorizedScopes oversteps your scopes".to_owned()),
    }
}

fn check_issuer(id: &str, certificate: &Certificate, issuer: &[String]) -> Result<(), String> {
    let may_name = format!("auth:create-client:{id}");
    if certificate.issuer.is_some() && !satisfies(issuer, &may_name) {
        return Err(format!(
            "ext.certificate.issuer doesn't have `{may_name}` for supplied clientId"
        ));
    }
    match certificate
        .scopes
        .iter()
        .all(|scope| satisfies(issuer, scope))
    {
        true => Ok(()),
        false => Err("ext.certificate issuer doesn't satisfy the certificate's scopes".to_owned()),
    }
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

/// Checks the hash of the payload, if one was signed.
pub(super) fn check_payload(
    signer: &Signer,
    content_type: &str,
    payload: &[u8],
) -> Result<(), String> {
    let Some(signed) = &signer.hash else {
        return Ok(());
    };
    let kind = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let computed = PayloadHasher::hash(kind, SHA256, payload).map_err(|error| error.to_string())?;
    match computed == *signed {
        true => Ok(()),
        false => Err(format!(
            "Invalid payload hash: {}\nComputed payload hash: {}\nThis happens when your request carries a signed hash of the payload and the hash doesn't match the hash we've computed on the server-side.",
            STANDARD.encode(signed),
            STANDARD.encode(computed)
        )),
    }
}
