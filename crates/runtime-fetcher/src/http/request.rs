//! A GET request with its redirects.

use std::error::Error;

use http::header::{ACCEPT_ENCODING, IF_RANGE, LOCATION, RANGE};
use runtime_core::util::error_sources;
use runtime_http::reqwest::{self, RequestBuilder, Response};
use url::Url;

use super::body_response::{BodyResponse, Encoding, RangeRequest, read_error};
use super::client::HttpClient;
use super::location::{Location, Trust};
use super::ssrf_guard::{DeniedHost, check_host};
use crate::attempt_error::AttemptError;
use crate::config::AddressPolicy;

impl HttpClient {
    /// Requests a body, or a range of it.
    pub(crate) async fn get(
        &self,
        location: &Location,
        range: Option<&RangeRequest>,
    ) -> Result<BodyResponse, AttemptError> {
        let limit = if location.follow_redirects {
            self.config().max_redirects
        } else {
            0
        };
        let mut url = location.url.clone();
        let mut trust = location.trust;
        for _ in 0..=limit {
            let response = self.send(&url, trust, range).await?;
            let Some(next) = redirect(&url, &response)? else {
                return self.read_head(response, range).await;
            };
            if next.origin() != url.origin() {
                // The deployment vouches for its own URL only, not for redirects of the server there: an open
                // redirect must not lead past the guard.
                trust = Trust::Task;
            }
            url = next;
        }
        Err(AttemptError::TooManyRedirects { limit })
    }

    async fn send(
        &self,
        url: &Url,
        trust: Trust,
        range: Option<&RangeRequest>,
    ) -> Result<Response, AttemptError> {
        let client = match (trust, self.config().addresses) {
            (Trust::Deployment, _) | (_, AddressPolicy::Any) => self.unguarded(),
            (Trust::Task, AddressPolicy::Guarded) => {
                check_host(url.host(), self.config().proxy.is_some())?;
                self.guarded()
            }
        };
        let request = client
            .get(url.clone())
            .header(ACCEPT_ENCODING, Encoding::ACCEPTED);
        let sending = with_range(request, range).send();
        // The client's own timeout ends with the connection; a server that accepts and never answers is a stall.
        let timeout = self.config().connect_timeout + self.config().stall_timeout;
        match tokio::time::timeout(timeout, sending).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(send_error(url, error)),
            Err(_) => Err(AttemptError::Stalled { timeout }),
        }
    }

    async fn read_head(
        &self,
        response: Response,
        range: Option<&RangeRequest>,
    ) -> Result<BodyResponse, AttemptError> {
        match response.status().as_u16() {
            200 | 203 => BodyResponse::whole(response),
            206 => BodyResponse::partial(response, range),
            _ => Err(read_error(response, self.config().stall_timeout).await),
        }
    }
}

fn with_range(request: RequestBuilder, range: Option<&RangeRequest>) -> RequestBuilder {
    let Some(RangeRequest {
        start,
        end,
        validator,
        ..
    }) = range
    else {
        return request;
    };
    let last = end.map_or_else(String::new, |end| end.saturating_sub(1).to_string());
    // `If-Range` makes the server send the whole body with status 200 if it is another one by now. Without it, the
    // range of the new body would be appended to the start of the old one.
    request
        .header(RANGE, format!("bytes={start}-{last}"))
        .header(IF_RANGE, validator.as_str())
}

/// Returns the next location if the response is a redirect.
fn redirect(from: &Url, response: &Response) -> Result<Option<Url>, AttemptError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let text = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok());
    let refuse = |to: String, reason| Err(AttemptError::Redirect { to, reason });
    let Some(Ok(mut to)) = text.map(|text| from.join(text)) else {
        return refuse(String::new(), "missing or invalid `Location`");
    };
    to.set_fragment(None);
    match (from.scheme(), to.scheme()) {
        ("https", "http") => refuse(redacted(&to), "downgrade from HTTPS to HTTP"),
        (_, "http" | "https") => Ok(Some(to)),
        _ => refuse(redacted(&to), "scheme is neither http nor https"),
    }
}

/// Returns a URL without its potential secrets: user, password and query.
pub(crate) fn redacted(url: &Url) -> String {
    let query = if url.query().is_some() { "?…" } else { "" };
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{port}{}{query}", url.scheme(), url.path())
}

fn send_error(url: &Url, error: reqwest::Error) -> AttemptError {
    let error = error.without_url();
    // The resolver reports a denied host as an I/O error somewhere in the chain of the HTTP client.
    if let Some(denied) = error_sources(&error).find_map(<dyn Error>::downcast_ref::<DeniedHost>) {
        return AttemptError::AddressDenied {
            host: denied.host.clone(),
        };
    }
    AttemptError::Connect {
        host: url.host_str().unwrap_or_default().to_owned(),
        source: error.into(),
    }
}
