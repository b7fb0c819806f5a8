//! What a client prefers, of what there is.

use http::header::HeaderName;
use http::{HeaderMap, header};

/// Reports whether the client names HTML among what it wants, as browsers do for a page.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    names(headers, &header::ACCEPT, "text/html")
}

/// Reports whether the client asks for gzip.
pub(super) fn wants_gzip(headers: &HeaderMap) -> bool {
    names(headers, &header::ACCEPT_ENCODING, "gzip")
}

/// Reports whether a list of preferences has `wanted`, and not with a weight of zero.
fn names(headers: &HeaderMap, field: &HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(field).into_iter();
    let items = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    items.into_iter().any(|item| {
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
        headers.insert(
            header::ACCEPT_ENCODING,
            value.parse().expect("a header value"),
        );
        assert_eq!(wants_gzip(&headers), expected, "{value}");
    }

    #[test]
    fn gzip_must_be_named() {
        check("gzip", true);
        check("br, GZIP;q=0.5", true);
        check("deflate", false);
        check("*", false);
    }

    #[test]
    fn a_weight_of_zero_is_a_refusal() {
        check("gzip;q=0", false);
        check("gzip; q=0.000, br", false);
        check("gzip;q=1", true);
    }
}
