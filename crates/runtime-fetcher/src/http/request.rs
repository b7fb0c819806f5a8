//! One request, with the redirects that it meets.

use http::header::{ACCEPT_ENCODING, IF_RANGE, LOCATION, RANGE};
use runtime_http::reqwest::{self, RequestBuilder, Response};
use url::Url;

use super::answer::{Answer, Encoding, Part, read_failure};
use super::client::HttpClient;
use super::guard::{AddressRefused, check_host};
use crate::download::{Location, Trust};
use crate::{AddressPolicy, AttemptError};

impl HttpClient {
    /// Asks for a body, or for a part of it.
    pub(crate) async fn get(
        &self,
        location: &Location,
        part: Option<&Part>,
    ) -> Result<Answer, AttemptError> {
        let limit = if location.redirects {
            self.config().max_redirects
        } else {
            0
        };
        let mut url = location.url.clone();
        let mut trust = location.trust;
        for _ in 0..=limit {
            let response = self.send(&url, trust, part).await?;
            let Some(next) = redirect(&url, &response)? else {
                return self.answer(response, part).await;
            };
            if next.origin() != url.origin() {
                // What another server says is no longer the word of the deployment.
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
        part: Option<&Part>,
    ) -> Result<Response, AttemptError> {
        let client = match (trust, self.config().addresses) {
            (Trust::Deployment, _) | (_, AddressPolicy::Any) => self.open(),
            (Trust::Task, AddressPolicy::Guarded) => {
                check_host(url.host(), self.config().proxy.is_some())?;
                self.guarded()
            }
        };
        let request = client
            .get(url.clone())
            .header(ACCEPT_ENCODING, Encoding::ACCEPTED);
        let sending = with_range(request, part).send();
        let timeout = self.config().connect_timeout + self.config().stall_timeout;
        match tokio::time::timeout(timeout, sending).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(send_failure(url, error)),
            Err(_) => Err(AttemptError::Stalled { timeout }),
        }
    }

    async fn answer(
        &self,
        response: Response,
        part: Option<&Part>,
    ) -> Result<Answer, AttemptError> {
        match response.status().as_u16() {
            200 | 203 => Answer::whole(response),
            206 => Answer::partial(response, part),
            _ => Err(read_failure(response, self.config().stall_timeout).await),
        }
    }
}

fn with_range(request: RequestBuilder, part: Option<&Part>) -> RequestBuilder {
    let Some(Part {
        start,
        end,
        validator,
        ..
    }) = part
    else {
        return request;
    };
    let last = end.map_or_else(String::new, |end| end.saturating_sub(1).to_string());
    request
        .header(RANGE, format!("bytes={start}-{last}"))
        .header(IF_RANGE, validator.as_str())
}

/// The next location, if the response is a redirect.
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
        return refuse(String::new(), "it has no location that is a URL");
    };
    to.set_fragment(None);
    match (from.scheme(), to.scheme()) {
        ("https", "http") => refuse(redacted(&to), "it leads from HTTPS to HTTP"),
        (_, "http" | "https") => Ok(Some(to)),
        _ => refuse(redacted(&to), "it leads away from HTTP"),
    }
}

/// A URL without what may be a secret in it: user, password, query.
pub(crate) fn redacted(url: &Url) -> String {
    let query = if url.query().is_some() { "?…" } else { "" };
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{port}{}{query}", url.scheme(), url.path())
}

fn send_failure(url: &Url, error: reqwest::Error) -> AttemptError {
    let error = error.without_url();
    if let Some(refused) = find::<AddressRefused>(&error) {
        return AttemptError::AddressRefused {
            host: refused.host.clone(),
        };
    }
    AttemptError::Connect {
        host: url.host_str().unwrap_or_default().to_owned(),
        source: error.into(),
    }
}

fn find<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref())
}
