//! Content negotiation with `Accept` and `Accept-Encoding`.

use http::header::HeaderName;
use http::{HeaderMap, header};

use crate::response::list_items;

/// Returns whether the client explicitly accepts HTML, as browsers do for a page.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    accepts(headers, &header::ACCEPT, "text/html")
}

/// Returns whether the client explicitly accepts gzip.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    accepts(headers, &header::ACCEPT_ENCODING, "gzip")
}

/// Returns whether a list has `wanted` with a weight above zero.
fn accepts(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    // Wildcards are ignored: curl sends `Accept: */*` and expects the text.
    list_items(headers, name).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        name.eq_ignore_ascii_case(wanted) && !parts.any(is_zero_weight)
    })
}

fn is_zero_weight(parameter: &str) -> bool {
    let Some((name, weight)) = parameter.split_once('=') else {
        return false;
    };
    name.trim().eq_ignore_ascii_case("q") && weight.trim().parse() == Ok(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: bool) {
        let mut headers = HeaderMap::new();
        let parsed = value.parse().expect("a header value");
        headers.insert(header::ACCEPT_ENCODING, parsed);
        assert_eq!(accepts_gzip(&headers), expected, "{value}");
    }

    #[test]
    fn gzip_must_be_explicit() {
        check("gzip", true);
        check("br, GZIP;q=0.5", true);
        check("deflate", false);
        check("*", false);
    }

    #[test]
    fn zero_weight_is_a_refusal() {
        check("gzip;q=0", false);
        check("gzip; q=0.000, br", false);
        check("gzip;q=1", true);
    }
}
