//! Protects the pages and the control endpoint, which need no credentials, from requests by web pages of other sites.
//!
//! A browser sends requests of any page to any address, including this machine. The page cannot read the responses, but
//! the requests have an effect. If the name of the site resolves to this machine (DNS rebinding), the page can read the
//! responses as well.

use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, Method, Request};

use crate::request::{header_text, is_json, split_host};

/// The names of this machine, which no other site can have.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Fails if the request is for another host name, which may be a site that resolves to this machine.
pub(crate) fn check_host(root_url: &str, headers: &HeaderMap) -> Result<(), String> {
    let host = header_text(headers, HOST).unwrap_or_default();
    if is_own_host(root_url, host) {
        return Ok(());
    }
    Err(format!(
        "`{host}` is not the host of this server; use {root_url}"
    ))
}

/// Fails if a page of another site may have sent the request.
pub(crate) fn check_sender<B>(root_url: &str, request: &Request<B>) -> Result<(), String> {
    let headers = request.headers();
    check_host(root_url, headers)?;
    // Programs other than browsers send no origin. A sandboxed page has the origin `null`.
    if let Some(origin) = headers.get(ORIGIN) {
        let host = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.strip_prefix("http://"));
        if !host.is_some_and(|host| is_own_host(root_url, host)) {
            return Err("pages of other sites may not use this endpoint".to_owned());
        }
    }
    // Before a browser sends this content type to another site, it asks the server for permission, which this server
    // never grants.
    if request.method() == Method::POST && !is_json(header_text(headers, CONTENT_TYPE)) {
        return Err("the payload must have the content type `application/json`".to_owned());
    }
    Ok(())
}

fn is_own_host(root_url: &str, host: &str) -> bool {
    let (own_name, own_port) = split_host(root_url.trim_start_matches("http://"));
    let (name, port) = split_host(host);
    let mut names = LOOPBACK_NAMES.into_iter().chain([own_name]);
    port == own_port && names.any(|known| known.eq_ignore_ascii_case(name))
}
