//! Signs, sends, reads and repeats a call.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use runtime_core::clock::until;
use runtime_core::{ApiError, Credentials};
use runtime_http::{read_body, reqwest, retry_after};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use url::Url;

use super::failure::{Failure, Next};
use super::{Call, Retries, refusal};
use crate::Client;

const JSON: &str = "application/json";

/// Longest answer that is read; the longest of the real ones are 32 claims of tasks of 1 MiB.
const LONGEST_ANSWER: usize = 64 << 20;

/// The attempt whose failure is told to who runs the worker: fewer come and go, and none of them would mean minutes
/// of silence before a call is given up.
const TROUBLE: u32 = 4;

impl Client {
    /// Makes a call and parses the answer.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, ApiError> {
        let answer = self.send(&call).await?;
        serde_json::from_slice(&answer).map_err(|error| call.unexpected(error))
    }

    /// Makes a call whose answer says nothing beyond success.
    pub(crate) async fn call_for_effect(&self, call: Call) -> Result<(), ApiError> {
        self.send(&call).await.map(drop)
    }

    /// Makes attempts until one succeeds or none can help.
    async fn send(&self, call: &Call) -> Result<Bytes, ApiError> {
        let url = call.url(self.transport.root())?;
        let mut retries = Retries::new(self.transport.settings.retry);
        let mut may_renew = true;
        loop {
            retries.begin_attempt();
            let credentials = self.fresh_credentials().await;
            let failure = match self.attempt(call, &url, credentials.as_ref()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let again = match failure.next(call) {
                Next::GiveUp => false,
                Next::Retry(at_least) => retries.wait(at_least).await,
                Next::OtherCredentials => {
                    std::mem::take(&mut may_renew) && self.renewed(credentials.as_ref()).await
                }
            };
            let attempts = retries.attempts();
            let error = failure.into_error(call, attempts);
            if !again {
                return Err(error);
            }
            let error = runtime_core::error_chain(&error);
            match attempts {
                TROUBLE => tracing::warn!(error, "trying again"),
                _ => tracing::debug!(error, "trying again"),
            }
        }
    }

    async fn attempt(
        &self,
        call: &Call,
        url: &Url,
        credentials: Option<&Credentials>,
    ) -> Result<Bytes, Failure> {
        let request = self.signed(call, url, credentials)?;
        let response = request
            .send()
            .await
            .map_err(|error| unanswered(call, error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_body(response, LONGEST_ANSWER).await;
        if status.is_success() {
            return body.map_err(|error| Failure::Lost(error.into()));
        }
        // The status alone is worth more than nothing when the rest of a refusal is cut off.
        let error = refusal::parse(call.method, status, &headers, &body.unwrap_or_default());
        let retry_after = retry_after(&headers, self.transport.settings.clock.now());
        Err(Failure::Refused {
            error: Box::new(error),
            retry_after,
        })
    }

    fn signed(
        &self,
        call: &Call,
        url: &Url,
        credentials: Option<&Credentials>,
    ) -> Result<reqwest::RequestBuilder, Failure> {
        let transport = &self.transport;
        let mut request = transport
            .http
            .request(call.verb.clone(), url.clone())
            .timeout(transport.settings.request_timeout);
        if let Some(credentials) = credentials {
            let payload = call.body.as_deref().map(|body| (JSON, body));
            let header = self
                .authorizer
                .header(credentials, &call.verb, url, payload);
            request = request.header(
                AUTHORIZATION,
                header.map_err(|error| Failure::Unmakeable(call.unmakeable(error)))?,
            );
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, JSON).body(body.clone());
        }
        Ok(request)
    }

    /// The credentials of this moment; if they are expired, those that replace them within the wait.
    async fn fresh_credentials(&self) -> Option<Credentials> {
        let credentials = self.authorizer.snapshot()?;
        let now = self.transport.settings.clock.now();
        if credentials
            .expires
            .is_some_and(|expires| until(now, expires).is_none())
        {
            self.renewed(Some(&credentials)).await;
            return self.authorizer.snapshot();
        }
        Some(credentials)
    }

    /// Asks for other credentials than `used` and waits for them; `false` if none come in time.
    async fn renewed(&self, used: Option<&Credentials>) -> bool {
        let mut watch = self.authorizer.watch();
        watch.report_refused();
        let other = async {
            while same(watch.snapshot().as_ref(), used) {
                if !watch.changed().await {
                    return false;
                }
            }
            true
        };
        let wait = self.transport.settings.credentials_wait;
        tokio::time::timeout(wait, other).await.unwrap_or(false)
    }
}

/// Sorts a failure of the transport by whether the service can have heard of the call.
fn unanswered(call: &Call, error: reqwest::Error) -> Failure {
    let error = error.without_url();
    if error.is_builder() {
        return Failure::Unmakeable(call.unmakeable(error));
    }
    if error.is_connect() {
        Failure::NotSent(error.into())
    } else {
        Failure::Lost(error.into())
    }
}

fn same(a: Option<&Credentials>, b: Option<&Credentials>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => identity(a) == identity(b),
        (None, None) => true,
        _ => false,
    }
}

fn identity(credentials: &Credentials) -> (&str, &str, Option<&str>) {
    let certificate = credentials
        .certificate
        .as_ref()
        .map(ExposeSecret::expose_secret);
    (
        &credentials.client_id,
        credentials.access_token.expose_secret(),
        certificate,
    )
}
