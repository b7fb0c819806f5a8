//! The rules for redirects.

use http::header::LOCATION;
use runtime_http::reqwest::Response;
use url::Url;

use super::location::redacted;
use crate::attempt_error::AttemptError;

/// Returns the next location if the response is a redirect.
pub(super) fn redirect(from: &Url, response: &Response) -> Result<Option<Url>, AttemptError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let refuse = |to: String, reason| Err(AttemptError::Redirect { to, reason });
    let Some(location) = response.headers().get(LOCATION) else {
        return refuse(String::new(), "missing `Location`");
    };
    let Ok(mut to) = from.join(&percent_encoded(location.as_bytes())) else {
        // Without the query and the user, which may contain secrets.
        let bytes = location.as_bytes().iter();
        let path: Vec<u8> = bytes
            .copied()
            .take_while(|byte| !b"?#@".contains(byte))
            .collect();
        return refuse(runtime_http::excerpt(&path), "invalid `Location`");
    };
    to.set_fragment(None);
    match (from.scheme(), to.scheme()) {
        ("https", "http") => refuse(redacted(&to), "downgrade from HTTPS to HTTP"),
        (_, "http" | "https") => Ok(Some(to)),
        _ => refuse(redacted(&to), "scheme is neither http nor https"),
    }
}

/// Encodes the bytes that are not ASCII, as browsers and curl do with a `Location` in raw UTF-8 or Latin-1.
fn percent_encoded(location: &[u8]) -> String {
    let encode = |byte: &u8| match byte {
        0..=0x7f => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    location.iter().map(encode).collect()
}
