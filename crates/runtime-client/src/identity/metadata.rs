//! Requests to a metadata service whose responses are needed.

use std::time::Duration;

use http::{HeaderMap, Method};

use super::error::IdentityError;
use crate::metadata_service::MetadataService;
use crate::settings::RetrySettings;
use crate::transport::retries::Retries;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The time after which an unreachable metadata service is an error. It may start after the machine.
const RETRY_BUDGET: Duration = Duration::from_secs(60);

/// A metadata service whose responses are needed.
pub(super) struct Metadata(MetadataService);

impl Metadata {
    pub(super) fn new(endpoint: &str) -> Result<Self, IdentityError> {
        Ok(Self(MetadataService::new(endpoint.trim_end_matches('/'))?))
    }

    pub(super) async fn get(
        &self,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<String, IdentityError> {
        self.request(Method::GET, path, headers).await
    }

    /// Returns the text of a successful response. Retries, since the service may not be ready when a machine boots.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<String, IdentityError> {
        let settings = RetrySettings {
            budget: RETRY_BUDGET,
            ..RetrySettings::default()
        };
        let mut retries = Retries::new(settings);
        loop {
            let (method, headers) = (method.clone(), headers.clone());
            let response = self.0.try_request(method, path, headers, REQUEST_TIMEOUT);
            let path = path.to_owned();
            let (error, is_final) = match response.await {
                Ok((status, text)) if status.is_success() => return Ok(text),
                Ok((status, _)) => {
                    let is_final = status.is_client_error() && status.as_u16() != 429;
                    let status = status.as_u16();
                    (IdentityError::Status { path, status }, is_final)
                }
                Err(source) => (IdentityError::Unreachable { path, source }, false),
            };
            if is_final || !retries.wait(None).await {
                return Err(error);
            }
        }
    }
}
