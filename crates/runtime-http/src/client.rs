//! The HTTP client.

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::ClientConfig;

/// Returns a builder of an HTTP client that follows no redirects and does not read the environment.
///
/// The caller sets timeouts, a proxy and a resolver as needed. Without ALPN protocols in `tls`, the client uses
/// HTTP/1.1.
pub fn client_builder(tls: ClientConfig, user_agent: &str) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        // The caller decides about each redirect: one to another host must not receive credentials, and for a service
        // of Taskcluster or a store it means that nothing was done.
        .redirect(Policy::none())
        .referer(false)
        .user_agent(user_agent)
        // Otherwise reqwest takes proxies from `HTTP_PROXY` and its siblings.
        .no_proxy()
}
