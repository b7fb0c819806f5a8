//! Asks the metadata service of a cloud, which answers machines of that cloud only.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use runtime_core::{BoxError, error_chain};
use runtime_http::{read_body, reqwest};

use crate::client_error::ClientError;
use crate::settings::ClientSettings;
use crate::transport::http_client;

/// Metadata is short.
const LONGEST: usize = 1 << 20;

/// A metadata service.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    http: reqwest::Client,
    endpoint: String,
}

impl Metadata {
    pub(super) fn new(endpoint: &str) -> Result<Self, ClientError> {
        let settings = ClientSettings {
            connect_timeout: Duration::from_secs(5),
            ..ClientSettings::default()
        };
        // Every cloud serves its metadata over `http`, on an address that never leaves the machine.
        Ok(Self {
            http: http_client(&settings, false)?,
            endpoint: endpoint.to_owned(),
        })
    }

    pub(super) fn set_endpoint(&mut self, endpoint: &str) {
        endpoint
            .trim_end_matches('/')
            .clone_into(&mut self.endpoint);
    }

    /// Status and text of an answer; `None` if there is none. The reason is logged, not told: a source
    /// that cannot be asked is asked again.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        timeout: Duration,
    ) -> Option<(StatusCode, String)> {
        let answer = self.try_to_ask(method, path, headers, timeout).await;
        if let Err(error) = &answer {
            tracing::debug!(
                path,
                error = error_chain(&**error),
                "no answer from the metadata service"
            );
        }
        answer.ok()
    }

    async fn try_to_ask(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        timeout: Duration,
    ) -> Result<(StatusCode, String), BoxError> {
        let request = self
            .http
            .request(method, format!("{}{path}", self.endpoint))
            .headers(headers)
            .timeout(timeout);
        let response = request.send().await?;
        let status = response.status();
        let body = read_body(response, LONGEST).await?;
        Ok((status, String::from_utf8(body.into())?))
    }
}
