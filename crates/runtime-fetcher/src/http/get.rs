//! A GET request with its redirects, and the response whose body is received.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, IF_RANGE, RANGE};
use jiff::Timestamp;
use runtime_core::util::error_sources;
use runtime_http::reqwest::{self, RequestBuilder, Response};
use runtime_http::{read_error_body, retry_after, tls_failure};
use tokio::time::Instant;
use url::Url;

use super::body_metadata::{BodyMetadata, Encoding, RangeRequest};
use super::client::HttpClient;
use super::location::{Location, LocationTrust};
use super::redirect::redirect;
use super::ssrf_guard::DeniedHost;
use super::throughput_window::ThroughputWindow;
use crate::attempt_error::AttemptError;
use crate::config::{AddressPolicy, FetchConfig};

/// The bytes of an error body that are kept for the message.
const MAX_ERROR_BODY_BYTES: usize = 8 * 1024;

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
        // Redirects are followed here and not by the client: each hop must pass the guard, and a
        // hop from HTTPS to HTTP is refused.
        for _ in 0..=limit {
            let response = self.send(&url, trust, range).await?;
            let Some(next) = redirect(&url, &response)? else {
                let stall_timeout = self.config().stall_timeout;
                return BodyResponse::accept(response, &url, range, stall_timeout).await;
            };
            if next.origin() != url.origin() {
                // The deployment vouches for its own URL only, not for redirects of the server there: an open
                // redirect must not lead past the guard.
                trust = LocationTrust::Task;
            }
            url = next;
        }
        Err(AttemptError::TooManyRedirects { limit })
    }

    async fn send(
        &self,
        url: &Url,
        trust: LocationTrust,
        range: Option<&RangeRequest>,
    ) -> Result<Response, AttemptError> {
        let client = match (trust, self.config().addresses) {
            (LocationTrust::Deployment, _) | (_, AddressPolicy::Any) => self.unguarded(),
            (LocationTrust::Task, AddressPolicy::Guarded) => {
                self.guard().check_host(url.host())?;
                self.guarded()
            }
        };
        let request = client
            .get(url.clone())
            .header(ACCEPT_ENCODING, Encoding::ACCEPTED);
        let sending = with_range(request, range).send();
        // The client's own timeout ends with the connection; a server that accepts and never answers is a stall.
        let config = self.config();
        let timeout = config.connect_timeout.saturating_add(config.stall_timeout);
        match tokio::time::timeout(timeout, sending).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(send_error(url, error)),
            Err(_) => Err(AttemptError::Stalled { timeout }),
        }
    }
}

/// A response whose body is being received.
pub(crate) struct BodyResponse {
    response: Response,
    throughput: ThroughputWindow,
    /// The offset after the last byte in the whole body, if announced.
    end: Option<u64>,
    pub(crate) metadata: BodyMetadata,
}

impl BodyResponse {
    async fn accept(
        response: Response,
        url: &Url,
        range: Option<&RangeRequest>,
        stall_timeout: Duration,
    ) -> Result<Self, AttemptError> {
        match (response.status().as_u16(), range) {
            // 203 is 200 from a proxy that has changed the response.
            (200 | 203, None) => Self::whole(response, url),
            (206, Some(range)) => Self::partial(response, url, range),
            // The whole body instead of the range, or a part of it that the server declares to be the whole.
            (200 | 203, Some(_)) | (206, None) => Err(AttemptError::RangeMismatch),
            _ => Err(read_error(response, stall_timeout).await),
        }
    }

    fn whole(response: Response, url: &Url) -> Result<Self, AttemptError> {
        let metadata = BodyMetadata::of_whole(response.headers(), url)?;
        Ok(Self {
            response,
            throughput: ThroughputWindow::default(),
            end: metadata.total,
            metadata,
        })
    }

    fn partial(response: Response, url: &Url, range: &RangeRequest) -> Result<Self, AttemptError> {
        let (metadata, end) = BodyMetadata::of_range(response.headers(), url, range)?;
        Ok(Self {
            response,
            throughput: ThroughputWindow::default(),
            end: Some(end),
            metadata,
        })
    }

    /// Returns the next chunk after the first `received` bytes of the whole body, or `None` at the end.
    ///
    /// Never returns bytes beyond the announced end, so that a caller that buffers a range can rely on its length.
    pub(crate) async fn chunk(
        &mut self,
        received: u64,
        config: &FetchConfig,
    ) -> Result<Option<Bytes>, AttemptError> {
        let (timeout, asked) = (config.stall_timeout, Instant::now());
        match tokio::time::timeout(timeout, self.response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let bytes = chunk.len() as u64;
                // Only the wait for this chunk counts: between two calls the target stores the previous one.
                self.throughput
                    .count(bytes, asked.elapsed(), &config.min_throughput)?;
                match self.end {
                    Some(end) if received + bytes > end => Err(AttemptError::TooLong { end }),
                    _ => Ok(Some(chunk)),
                }
            }
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) => Err(AttemptError::Interrupted {
                received,
                source: error.without_url().into(),
            }),
            Err(_) => Err(AttemptError::Stalled { timeout }),
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

fn send_error(url: &Url, error: reqwest::Error) -> AttemptError {
    let error = error.without_url();
    // The resolver reports a denied host as an I/O error somewhere in the chain of the HTTP client.
    if let Some(denied) = error_sources(&error).find_map(<dyn Error>::downcast_ref::<DeniedHost>) {
        return AttemptError::AddressDenied {
            host: denied.host.clone(),
            kind: denied.kind,
        };
    }
    if let Some(failure) = tls_failure(&error) {
        return AttemptError::Tls {
            host: url.host_str().unwrap_or_default().to_owned(),
            reason: failure.reason,
            is_permanent: failure.is_permanent,
        };
    }
    AttemptError::Connect {
        host: url.host_str().unwrap_or_default().to_owned(),
        source: error.into(),
    }
}

/// Reads the start of an error body and returns the error of the response.
async fn read_error(response: Response, timeout: Duration) -> AttemptError {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), Timestamp::now());
    let body = read_error_body(response, MAX_ERROR_BODY_BYTES, timeout).await;
    AttemptError::Status {
        status,
        retry_after,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    /// Creates a body of `bytes` bytes, one after each pause.
    fn dripping(pause: Duration, bytes: usize) -> BodyResponse {
        let drips = futures_util::stream::unfold(0, move |sent| async move {
            if sent == bytes {
                return None;
            }
            tokio::time::sleep(pause).await;
            let frame = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")));
            Some((frame, sent + 1))
        });
        let body = runtime_http::reqwest::Body::wrap(StreamBody::new(Box::pin(drips)));
        let url = "http://example.invalid".parse().expect("URL is valid");
        BodyResponse::whole(http::Response::new(body).into(), &url).expect("no encoding")
    }

    /// Reads to the end, and spends some time on each chunk.
    async fn read(mut response: BodyResponse, per_chunk: Duration) -> Result<u64, AttemptError> {
        let (config, mut received) = (FetchConfig::default(), 0);
        while let Some(chunk) = response.chunk(received, &config).await? {
            received += chunk.len() as u64;
            tokio::time::sleep(per_chunk).await;
        }
        Ok(received)
    }

    #[tokio::test(start_paused = true)]
    async fn dripping_server_is_dropped_after_a_window() {
        let start = Instant::now();
        let cause = read(dripping(Duration::from_secs(20), 1000), Duration::ZERO).await;
        let Err(AttemptError::TooSlow { bytes: 3, window }) = cause else {
            panic!("{cause:?}")
        };
        assert_eq!((window.as_secs(), start.elapsed().as_secs()), (60, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_target_does_not_count_against_the_server() {
        let response = dripping(Duration::from_millis(1), 1000);
        let read = read(response, Duration::from_secs(59)).await;
        assert_eq!(read.expect("body is complete"), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn body_shorter_than_a_window_may_be_slow() {
        let read = read(dripping(Duration::from_secs(29), 2), Duration::ZERO).await;
        assert_eq!(read.expect("body is complete"), 2);
    }
}
