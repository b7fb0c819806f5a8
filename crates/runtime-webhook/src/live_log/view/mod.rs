//! A page that shows a log to people.

use http::header::{self, HeaderValue};
use runtime_core::webhook::{Body, Response};

/// A part of the page.
struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const ASSETS: &[Asset] = &[
    Asset {
        path: "/view.html",
        kind: "text/html; charset=utf-8",
        text: include_str!("view.html"),
    },
    Asset {
        path: "/view.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("view.css"),
    },
    Asset {
        path: "/view.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("view.js"),
    },
    Asset {
        path: "/ansi.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("ansi.js"),
    },
];

/// A log is written by whoever wrote the task: nothing of it may run, or load anything.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The page itself.
pub(super) fn page() -> Response {
    answer(&ASSETS[0])
}

/// The part of the page at this path, if there is one.
pub(super) fn asset(path: &str) -> Option<Response> {
    ASSETS.iter().find(|asset| asset.path == path).map(answer)
}

fn answer(asset: &Asset) -> Response {
    let mut response = Response::new(Body::from(asset.text));
    let fields = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept"),
    ];
    for (name, value) in fields {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
