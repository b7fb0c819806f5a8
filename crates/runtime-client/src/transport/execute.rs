//! Executes API calls: signs, sends, retries.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use jiff::SignedDuration;
use runtime_core::clock::duration_until;
use runtime_core::monitor::current_trace_id;
use runtime_core::{ApiError, Credentials, Timestamp, error_chain};
use runtime_http::{read_body, reqwest, retry_after};
use secrecy::ExposeSecret;
use url::Url;

use super::attempt_error::{AttemptError, RetryDecision};
use super::call::{Call, Idempotence};
use super::error_response;
use super::retries::Retries;
use super::shared::Transport;
use crate::authorizer::Authorizer;

/// Services log it with the request, and return it as `x-for-trace-id`.
const TRACE_ID: &str = "x-taskcluster-trace-id";

const JSON: &str = "application/json";

/// The maximum size of a response. The largest real ones are 32 claims of tasks of 1 MiB each.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

/// The attempt from which on failures are logged as warnings.
///
/// Earlier failures are usual in a large deployment. Without any warning, operators would see nothing for minutes
/// until a call fails.
const WARN_AT_ATTEMPT: u32 = 4;

impl Transport {
    /// Sends a call until an attempt succeeds or retrying is pointless.
    pub(crate) async fn execute(
        &self,
        authorizer: &Authorizer,
        call: &Call,
    ) -> Result<Bytes, ApiError> {
        let execution = Execution {
            transport: self,
            authorizer,
            call,
            url: call.url(self.root_url())?,
            retries: Retries::new(self.settings.retry),
            may_replace_credentials: true,
            may_correct_clock: true,
        };
        execution.run().await
    }
}

/// The execution of one call.
struct Execution<'a> {
    transport: &'a Transport,
    authorizer: &'a Authorizer,
    call: &'a Call,
    url: Url,
    retries: Retries,
    /// Once a call: if the replacements are refused as well, something else is wrong.
    may_replace_credentials: bool,
    /// Once a call, for the same reason.
    may_correct_clock: bool,
}

impl Execution<'_> {
    async fn run(mut self) -> Result<Bytes, ApiError> {
        loop {
            self.retries.begin_attempt();
            // Read for each attempt: a reclaim may have replaced them during the last delay.
            let credentials = match self.call.idempotence {
                Idempotence::SingleAttempt => self.authorizer.snapshot(),
                _ => self.unexpired_credentials().await,
            };
            let offset = self.transport.service_clock.offset();
            let error = match self.attempt(credentials.as_ref()).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            // The response has shown that the clock is wrong, so the signature was. The refused attempt had no effect.
            if error.is_unauthorized()
                // Compared with the value before the attempt: another call may have corrected the
                // clock meanwhile, which is reason enough to sign again.
                && self.transport.service_clock.offset() != offset
                && std::mem::take(&mut self.may_correct_clock)
            {
                continue;
            }
            let may_retry = self.wait_for_retry(&error, credentials.as_ref()).await;
            let attempts = self.retries.attempts();
            let error = error.into_api_error(self.call, attempts);
            if !may_retry {
                return Err(error);
            }
            log_retry(&error, attempts);
        }
    }

    async fn attempt(&self, credentials: Option<&Credentials>) -> Result<Bytes, AttemptError> {
        let response = self
            .request(credentials)?
            .send()
            .await
            .map_err(|error| AttemptError::from_transport(self.call, error))?;
        // Cloned, because reading the body consumes the response.
        let (status, headers) = (response.status(), response.headers().clone());
        self.transport
            .service_clock
            // Of every response, including errors: the `Date` of a refusal is what corrects the
            // clock.
            .observe(&headers, Timestamp::now());
        let body = read_body(response, MAX_RESPONSE_BYTES).await;
        if status.is_success() {
            return body.map_err(|error| AttemptError::NoResponse(error.into()));
        }
        // With an incomplete error body, the status still decides about a retry.
        let body = body.unwrap_or_default();
        let now = self.transport.settings.clock.now();
        let error = error_response::parse(self.call.api_method, status, &headers, &body, now);
        Err(AttemptError::Refused {
            error: Box::new(error),
            retry_after: retry_after(&headers, now),
        })
    }

    /// Builds a request. Without credentials, it is not signed.
    fn request(
        &self,
        credentials: Option<&Credentials>,
    ) -> Result<reqwest::RequestBuilder, AttemptError> {
        let Self {
            transport, call, ..
        } = self;
        // The time limit is for this attempt, body included. The budget of the retries limits the call.
        let mut request = transport
            .http
            .request(call.http_method.clone(), self.url.clone())
            .timeout(transport.settings.request_timeout);
        if let Some(trace) = current_trace_id() {
            request = request.header(TRACE_ID, trace.to_string());
        }
        if let Some(credentials) = credentials {
            let payload = call.body.as_deref().map(|body| (JSON, body));
            // Signed for each attempt: time and nonce must be new, since services refuse a repeated signature.
            let header = self
                .authorizer
                .header(credentials, &call.http_method, &self.url, payload)
                .map_err(|error| AttemptError::InvalidRequest(call.invalid_request(error)))?;
            request = request.header(AUTHORIZATION, header);
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, JSON).body(body.clone());
        }
        Ok(request)
    }

    /// Waits until the call may be retried. Returns `false` if it may not.
    async fn wait_for_retry(&mut self, error: &AttemptError, used: Option<&Credentials>) -> bool {
        match error.decide(self.call) {
            RetryDecision::Fail => {
                // A single attempt does not wait for their replacement, but its caller repeats it later.
                if error.is_unauthorized() {
                    self.authorizer.watch().report_refused();
                }
                false
            }
            RetryDecision::Retry { min_delay } => self.retries.wait(min_delay).await,
            // Without a delay after the replacement, since the service is healthy.
            // Once per call: a 401 for two different credentials has another cause.
            RetryDecision::ReplaceCredentials => {
                std::mem::take(&mut self.may_replace_credentials)
                    && self.wait_for_other_credentials(used).await
            }
        }
    }

    /// Returns the current credentials. If they have expired, the call waits for replacements before it sends them.
    ///
    /// A reclaim replaces the credentials of a task shortly before they expire, so a call that starts in that moment
    /// only has to wait for the reclaim. If none arrive in time, the expired ones are sent: the clock of this machine
    /// may be wrong.
    async fn unexpired_credentials(&self) -> Option<Credentials> {
        let credentials = self.authorizer.snapshot()?;
        // The services decide, by their own clock.
        let ahead = SignedDuration::from_secs(self.transport.service_clock.offset());
        let now = self.transport.settings.clock.now();
        let now = now.saturating_add(ahead).unwrap_or(now);
        let is_expired = |expires| duration_until(now, expires).is_none();
        if credentials.expires.is_some_and(is_expired) {
            self.wait_for_other_credentials(Some(&credentials)).await;
            return self.authorizer.snapshot();
        }
        Some(credentials)
    }

    /// Reports `used` as refused and waits until they are replaced. Returns `false` on a timeout.
    async fn wait_for_other_credentials(&self, used: Option<&Credentials>) -> bool {
        let mut watch = self.authorizer.watch();
        // The owner of the credentials, such as the registrar, then renews them before they expire.
        watch.report_refused();
        let replaced = async {
            // Compares instead of waiting for a change: they may have been replaced while the request was in flight.
            while is_same(watch.snapshot().as_ref(), used) {
                if !watch.changed().await {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(self.transport.settings.credentials_wait, replaced)
            .await
            .unwrap_or(false)
    }
}

fn log_retry(error: &ApiError, attempts: u32) {
    let error = error_chain(error);
    if attempts == WARN_AT_ATTEMPT {
        tracing::warn!(error, attempts, "API call failed, retrying");
    } else {
        tracing::debug!(error, attempts, "API call failed, retrying");
    }
}

fn is_same(a: Option<&Credentials>, b: Option<&Credentials>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => identity(a) == identity(b),
        (None, None) => true,
        _ => false,
    }
}

/// The parts that a signature depends on.
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
