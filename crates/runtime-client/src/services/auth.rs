//! The auth service.

use jiff::Timestamp;
use runtime_core::clock::deserialize_timestamp;
use runtime_core::{ApiError, CredentialsWatch, ScopeSet};
use secrecy::SecretString;
use serde::Deserialize;

use crate::client::Client;
use crate::transport::call::{Call, path};

/// The address for error reports of a project.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SentryDsn {
    /// The DSN for trusted programs, which includes a secret.
    pub dsn: SecretString,
    /// The time until which the DSN is valid.
    pub expires: Timestamp,
}

/// A token for opening a tunnel at a websocktunnel server.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct WebsocktunnelToken {
    /// The client id that the token is valid for.
    pub wst_client: String,
    /// The audience: the servers that accept the token.
    pub wst_audience: String,
    /// The token, to be sent as a `Bearer` token.
    pub token: SecretString,
    /// The time at which the token expires.
    #[serde(deserialize_with = "deserialize_timestamp")]
    pub expires: Timestamp,
}

/// The auth service.
impl Client {
    /// Returns a Sentry DSN for a project. It has to be renewed before it expires, about once a day.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: an unused result expires.
    pub async fn sentry_dsn(&self, project: &str) -> Result<SentryDsn, ApiError> {
        let call = Call::get("auth.sentryDSN", path("auth", ["sentry", project, "dsn"]));
        let response: SentryDsnResponse = self.call(call).await?;
        Ok(SentryDsn {
            dsn: response.dsn.secret,
            expires: response.expires,
        })
    }

    /// Returns a token with which `client` can open a tunnel at the servers of `audience`.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: an unused result expires.
    pub async fn websocktunnel_token(
        &self,
        audience: &str,
        client: &str,
    ) -> Result<WebsocktunnelToken, ApiError> {
        let path = path("auth", ["websocktunnel", audience, client]);
        self.call(Call::get("auth.websocktunnelToken", path)).await
    }

    /// Checks that the auth service of the deployment responds. The request is not signed.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]. [`ApiError::Unexpected`] means that the server is not a Taskcluster deployment.
    ///
    /// # Cancel safety
    ///
    /// Safe: the call has no effect.
    pub async fn ping(&self) -> Result<(), ApiError> {
        let unsigned = self.with_credentials(CredentialsWatch::fixed(None));
        let call = Call::get("auth.ping", path("auth", ["ping"]));
        let _: PingResponse = unsigned.call(call).await?;
        Ok(())
    }

    /// Returns the scopes of the current credentials.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: the call has no effect.
    pub async fn current_scopes(&self) -> Result<ScopeSet, ApiError> {
        let call = Call::get("auth.currentScopes", path("auth", ["scopes", "current"]));
        let response: ScopesResponse = self.call(call).await?;
        Ok(response.scopes)
    }
}

/// The response of a service, whatever else it contains.
#[derive(Deserialize)]
struct PingResponse {
    #[serde(rename = "alive")]
    _alive: bool,
}

#[derive(Deserialize)]
struct ScopesResponse {
    scopes: ScopeSet,
}

#[derive(Deserialize)]
struct SentryDsnResponse {
    dsn: Dsn,
    #[serde(deserialize_with = "deserialize_timestamp")]
    expires: Timestamp,
}

/// The response also has a public DSN, for browsers.
#[derive(Deserialize)]
struct Dsn {
    secret: SecretString,
}
