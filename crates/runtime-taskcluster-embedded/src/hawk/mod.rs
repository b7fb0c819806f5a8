//! Authentication of requests by Hawk signatures and bewits.

mod timestamps;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hawk::{Bewit, Header, Key, PayloadHasher, RequestBuilder, SHA256};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::credentials::Certificate;
use crate::scopes::satisfies;
use crate::state::clients::AuthClient;

/// The parts of a request that its signature covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedRequest<'a> {
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// The raw path and query.
    pub(crate) resource: &'a str,
    pub(crate) authorization: Option<&'a str>,
}

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
pub(crate) trait Directory {
    /// Returns a client by its id.
    fn client(&self, client_id: &str) -> Option<Arc<AuthClient>>;

    /// Adds the scopes of all roles that the given scopes may assume.
    fn assume(&self, scopes: Vec<String>) -> Vec<String>;

    /// Returns the scopes that every request has.
    fn anonymous(&self) -> Arc<[String]>;
}

/// The tolerated difference between the clocks of client and server.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);

/// The `ext` of a signature: base64 of JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    certificate: Option<Value>,
    authorized_scopes: Option<Vec<String>>,
}

/// Verifies the signature in the header or in the bewit. Returns `None` for an unsigned request.
///
/// Signatures are compared with the system time, since clients sign with theirs. Certificates are
/// compared with `now`, the time of the services, which may be ahead.
pub(crate) fn authenticate(
    request: SignedRequest<'_>,
    now: Timestamp,
    directory: &dyn Directory,
) -> Result<Option<Signer>, String> {
    timestamps::check(request.resource, request.authorization)?;
    let unsigned =
        RequestBuilder::new(request.method, request.host, request.port, request.resource);
    let mut bewit = None;
    // The MAC covers the URL without the bewit.
    let unsigned = unsigned
        .extract_bewit(&mut bewit)
        .map_err(|error| error.to_string())?;
    match (request.authorization, bewit) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err("Unauthorized: Multiple authentications".to_owned()),
        (Some(header), None) => verify_header(unsigned, header, now, directory).map(Some),
        (None, Some(bewit)) => {
            verify_bewit(unsigned, request.method, &bewit, now, directory).map(Some)
        }
    }
}

fn verify_header(
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
    // The skew is checked below. The crate would report both failures as one, but the message has to
    // distinguish a wrong clock from a wrong token.
    let request = request.request();
    if !request.validate_header(&header, &key, Duration::MAX) {
        return Err("Unauthorized: Bad mac".to_owned());
    }
    let system_time = SystemTime::now();
    let skew = system_time
        .duration_since(ts)
        .or_else(|_| ts.duration_since(system_time))
        .unwrap_or_default();
    if skew > MAX_CLOCK_SKEW {
        return Err("Unauthorized: Stale timestamp".to_owned());
    }
    Ok(Signer {
        payload_hash: header.hash,
        ..signer
    })
}

fn verify_bewit(
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
    // A bewit is always signed for GET, even if the request is a HEAD.
    let request = request.method("GET").request();
    if !request.validate_bewit(bewit, &key) {
        return Err("Unauthorized: Bad mac".to_owned());
    }
    Ok(signer)
}

/// Returns the client with its effective scopes, and the key that its signature must match.
///
/// The signature itself is verified after this: until then the result is a claim.
fn identify(
    id: &str,
    ext: Option<&str>,
    now: Timestamp,
    directory: &dyn Directory,
) -> Result<(Signer, Key), String> {
    let ext = ext.map(parse_extension).transpose()?.unwrap_or_default();
    let (scopes, expires, token) = match ext.certificate {
        None => {
            let client = find_client(id, now, directory)?;
            let token = client.token().to_owned();
            (client.scopes.clone(), client.expires, token)
        }
        Some(certificate) => {
            let certificate = parse_certificate(certificate)?;
            let issuer = find_client(certificate.issued_by(id), now, directory)?;
            let token = certificate.verify(id, issuer.token(), now)?;
            check_issuer(id, &certificate, &directory.assume(issuer.scopes.clone()))?;
            let expires = certificate.expires();
            (certificate.scopes, expires, token)
        }
    };
    let scopes = authorize(directory.assume(scopes), ext.authorized_scopes, directory)?;
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
    directory: &dyn Directory,
) -> Result<Arc<AuthClient>, String> {
    match directory.client(id) {
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
    directory: &dyn Directory,
) -> Result<Vec<String>, String> {
    let Some(authorized) = authorized else {
        return Ok(scopes);
    };
    let anonymous = directory.anonymous();
    let is_allowed = |scope: &String| satisfies(&scopes, scope) || satisfies(&anonymous, scope);
    if !authorized.iter().all(is_allowed) {
        return Err("ext.authorizedScopes oversteps your scopes".to_owned());
    }
    Ok(directory.assume(authorized))
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

/// Verifies the hash of the payload, if the signature covers one.
pub(crate) fn check_payload(
    signer: &Signer,
    content_type: &str,
    payload: &[u8],
) -> Result<(), String> {
    let Some(signed) = &signer.payload_hash else {
        return Ok(());
    };
    // The hash covers the media type without parameters, in lower case.
    let media_type = content_type.split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    let computed =
        PayloadHasher::hash(media_type, SHA256, payload).map_err(|error| error.to_string())?;
    if computed == *signed {
        return Ok(());
    }
    Err(format!(
        "Invalid payload hash: {}\nComputed payload hash: {}\nThis happens when your request carries a signed hash of the payload and the hash doesn't match the hash we've computed on the server-side.",
        STANDARD.encode(signed),
        STANDARD.encode(computed)
    ))
}
