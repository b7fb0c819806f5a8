//! HTML pages: an overview, tasks, and logs.
//!
//! They have no scripts. The templates escape all text, so text of tasks cannot inject markup.

mod components;
mod log;
mod overview;
mod runs;
mod task;

use http::Uri;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use hyper::Response;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::components::HtmlPage;
use crate::body::{self, Body};
use crate::context::ServerContext;
use crate::request::parse_query;
use crate::time::millis;

/// The interval at which a browser reloads a page that may change, in seconds.
const REFRESH_INTERVAL: u32 = 3;

const STYLE: &str = include_str!("style.css");

/// Allows the inline style and nothing else: no scripts, no images, no other servers.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; \
     frame-ancestors 'none'";

/// The start of the path of a task and its logs.
const TASKS_PATH: &str = "/tasks/";

/// Returns whether a path is that of a page, which need not exist.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with(TASKS_PATH)
}

/// Returns the page at an address.
pub(crate) async fn respond(context: &ServerContext, uri: &Uri) -> Response<Body> {
    let query = parse_query(uri.query().unwrap_or_default());
    let page = match uri.path().strip_prefix(TASKS_PATH) {
        None => overview::page(context, &overview::TaskFilter::from_query(&query)),
        Some(rest) => match rest.split_once('/') {
            None => task::page(context, rest).await,
            Some((task_id, log)) => log::page(context, task_id, log).await,
        },
    };
    let mut response = Response::new(body::full(document(context, &page).into_string()));
    *response.status_mut() = page.status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_POLICY),
    );
    response
}

fn document(context: &ServerContext, page: &HtmlPage) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (page.title) }
                meta name="viewport" content="width=device-width,initial-scale=1";
                @if page.may_change { meta http-equiv="refresh" content=(REFRESH_INTERVAL); }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    a.brand href="/" { "Embedded Taskcluster" }
                    span { (context.root_url) }
                    time { (millis(context.now())) }
                }
                main { (page.content) }
            }
        }
    }
}
