//! Helpers for request heads.

use http::HeaderMap;
use http::header::HeaderName;
use percent_encoding::percent_decode_str;

/// Returns a header if it is present and ASCII.
pub(crate) fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Returns whether a content type is that of JSON.
pub(crate) fn is_json(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|content_type| {
        let mime_type = content_type.split(';').next().unwrap_or_default().trim();
        mime_type.eq_ignore_ascii_case("application/json")
    })
}

/// Splits a `Host` header; without a port, it is 80.
pub(crate) fn split_host(host: &str) -> (&str, u16) {
    let parts = host.rsplit_once(':');
    let parsed = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    parsed.unwrap_or((host, 80))
}

/// Returns the decoded pairs of a query string.
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        // Before decoding: an escaped plus sign stays one.
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Returns the value of the first pair with this name.
pub(crate) fn find_value<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let pair = query.iter().find(|(key, _)| key == name);
    pair.map(|(_, value)| value.as_str())
}
