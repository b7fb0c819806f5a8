//! Pages for people who would rather look: everything at a glance, a task, a log.
//!
//! Rendered here, without scripts: what tasks say about themselves can be shown and never run.

mod front;
mod html;
mod log;
mod task;

use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use http::{StatusCode, Uri};
use hyper::Response;

use self::html::Escaped;
use super::api::parse_query;
use super::body::{self, Body};
use super::shared::Shared;
use super::time::millis;

/// A page before it gets its frame.
struct Page {
    status: StatusCode,
    title: String,
    content: String,
    /// Whether there may be something new in a few seconds.
    changes: bool,
}

impl Page {
    fn missing(what: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: format!("No such {what}"),
            content: format!("<p class=empty>There is no such {what} here.</p>"),
            changes: false,
        }
    }
}

/// The page at that address, if there is one.
pub(crate) async fn answer(shared: &Shared, uri: &Uri) -> Option<Response<Body>> {
    let query = parse_query(uri.query().unwrap_or_default());
    let page = match uri.path() {
        "/" => front::page(shared, &front::Filter::of(&query)),
        path => {
            let rest = path.strip_prefix("/tasks/")?;
            match rest.split_once('/') {
                None => task::page(shared, rest).await,
                Some((task_id, log)) => log::page(shared, task_id, log).await,
            }
        }
    };
    Some(framed(shared, page))
}

fn framed(shared: &Shared, page: Page) -> Response<Body> {
    let refresh = match page.changes {
        true => "<meta http-equiv=refresh content=3>",
        false => "",
    };
    let html = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>{title}</title>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">{refresh}\
         <style>{STYLE}</style></head><body><header><a class=brand href=\"/\">Embedded Taskcluster</a>\
         <span>{root}</span><time>{now}</time></header><main>{content}</main></body></html>",
        title = Escaped(&page.title),
        root = Escaped(&shared.root_url),
        now = millis(shared.now()),
        content = page.content,
    );
    let mut response = Response::new(body::full(html));
    *response.status_mut() = page.status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

const STYLE: &str = include_str!("style.css");

/// Nothing but the style above: no scripts, no images, nothing of other servers.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; \
     frame-ancestors 'none'";
