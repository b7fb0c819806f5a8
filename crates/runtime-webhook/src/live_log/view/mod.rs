//! The page that shows a log in a browser.

use http::header;
use runtime_core::webhook::{Body, Response};

use crate::response::set_headers;

/// A file of the page.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const PAGE: Asset = Asset {
    path: "/view.html",
    content_type: "text/html; charset=utf-8",
    text: include_str!("view.html"),
};

const ASSETS: [Asset; 4] = [
    PAGE,
    Asset {
        path: "/view.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("view.css"),
    },
    Asset {
        path: "/view.js",
        content_type: "text/javascript; charset=utf-8",
        text: include_str!("view.js"),
    },
    Asset {
        path: "/ansi.js",
        content_type: "text/javascript; charset=utf-8",
        text: include_str!("ansi.js"),
    },
];

/// The author of a task controls its log. If text of the log ever becomes markup by mistake, this policy
/// keeps it from running scripts and from loading anything.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                                       connect-src 'self'; base-uri 'none'; form-action 'none'; \
                                       frame-ancestors 'self'";

/// Returns the page.
pub(super) fn page() -> Response {
    respond(&PAGE)
}

/// Returns the file of the page at this path.
pub(super) fn asset(path: &str) -> Option<Response> {
    ASSETS.iter().find(|asset| asset.path == path).map(respond)
}

fn respond(asset: &Asset) -> Response {
    let mut response = Response::new(Body::from(asset.text));
    set_headers(
        &mut response,
        [
            (header::CONTENT_TYPE, asset.content_type),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
            (header::VARY, "accept"),
        ],
    );
    response
}
