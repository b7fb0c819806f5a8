//! The metadata service of a cloud, which only machines of that cloud can reach.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use runtime_core::{BoxError, error_chain};
use runtime_http::{read_body, reqwest};

use crate::client_error::ClientError;
use crate::settings::ClientSettings;
use crate::transport::http_client::http_client;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// A client of a metadata service.
#[derive(Clone, Debug)]
pub struct MetadataService {
    http: reqwest::Client,
    endpoint: String,
}

impl MetadataService {
    pub(crate) fn new(endpoint: &str) -> Result<Self, ClientError> {
        let settings = ClientSettings {
            connect_timeout: CONNECT_TIMEOUT,
            ..ClientSettings::default()
        };
        // Metadata services use `http`, on a link-local address that is not routed beyond the host.
        Ok(Self {
            http: http_client(&settings, false)?,
            endpoint: endpoint.to_owned(),
        })
    }

    pub(crate) fn set_endpoint(&mut self, endpoint: &str) {
        endpoint
            .trim_end_matches('/')
            .clone_into(&mut self.endpoint);
    }

    /// Sends a request and returns status and text of the response.
    ///
    /// An error is only logged, since every source sends its request again.
    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        timeout: Duration,
    ) -> Option<(StatusCode, String)> {
        self.try_request(method, path, headers, timeout)
            .await
            .inspect_err(|error| {
                let error = error_chain(&**error);
                tracing::debug!(path, error, "metadata service is unreachable");
            })
            .ok()
    }

    /// Sends a request and returns status and text of the response, or the error of the connection.
    pub(crate) async fn try_request(
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
        let body = read_body(response, MAX_RESPONSE_BYTES).await?;
        Ok((status, String::from_utf8(body.into())?))
    }
}
