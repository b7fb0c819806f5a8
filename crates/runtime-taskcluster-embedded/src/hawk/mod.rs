//! Authentication of requests by Hawk signatures and bewits.

mod identity;
mod timestamps;

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hawk::{Bewit, Header, PayloadHasher, RequestBuilder, SHA256};
use jiff::Timestamp;

pub(crate) use self::identity::{ClientsAndRoles, Signer};

use self::identity::identify;

/// The parts of a request that its signature covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestToAuthenticate<'a> {
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// The raw path and query.
    pub(crate) resource: &'a str,
    pub(crate) authorization: Option<&'a str>,
}

/// The tolerated difference between the clocks of client and server.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);

/// Verifies the signature in the header or in the bewit. Returns `None` for an unsigned request.
///
/// The times of signatures are compared with the system time, because clients use their system time. Certificates are
/// compared with `now`, the time of the services, which may be ahead.
pub(crate) fn authenticate(
    request: RequestToAuthenticate<'_>,
    now: Timestamp,
    clients: &dyn ClientsAndRoles,
) -> Result<Option<Signer>, String> {
    timestamps::check(request.resource, request.authorization)?;
    let unsigned =
        RequestBuilder::new(request.method, request.host, request.port, request.resource);
    if has_padded_bewit(request.resource) {
        return Err("Bad Request: Invalid bewit encoding".to_owned());
    }
    let mut bewit = None;
    // The MAC covers the URL without the bewit.
    let unsigned = unsigned
        .extract_bewit(&mut bewit)
        .map_err(|error| error.to_string())?;
    match (request.authorization, bewit) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err("Unauthorized: Multiple authentications".to_owned()),
        (Some(header), None) => verify_header(unsigned, header, now, clients).map(Some),
        (None, Some(bewit)) => {
            verify_bewit(unsigned, request.method, &bewit, now, clients).map(Some)
        }
    }
}

/// Returns whether a bewit has the padding of Base64, which the real services reject and the crate accepts.
fn has_padded_bewit(resource: &str) -> bool {
    let query = resource.split_once('?').map_or("", |(_, query)| query);
    let mut bewits = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("bewit="));
    bewits.any(|bewit| bewit.contains('=') || bewit.contains("%3D") || bewit.contains("%3d"))
}

fn verify_header(
    request: RequestBuilder<'_>,
    header: &str,
    now: Timestamp,
    clients: &dyn ClientsAndRoles,
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
    // Nonces are required but not recorded: on the loopback interface, protection from replays has
    // no purpose.
    let (signer, key) = identify(id, header.ext.as_deref(), now, clients)?;
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
    clients: &dyn ClientsAndRoles,
) -> Result<Signer, String> {
    if !matches!(method, "GET" | "HEAD") {
        return Err("Unauthorized: Invalid method".to_owned());
    }
    if bewit.exp() < SystemTime::now() {
        return Err("Unauthorized: Access expired".to_owned());
    }
    let (signer, key) = identify(bewit.id(), bewit.ext(), now, clients)?;
    // A bewit is always signed for GET, even if the request is a HEAD.
    let request = request.method("GET").request();
    if !request.validate_bewit(bewit, &key) {
        return Err("Unauthorized: Bad mac".to_owned());
    }
    Ok(signer)
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
