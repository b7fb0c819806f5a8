//! What the auth service hands out to workers.

use jiff::Timestamp;
use runtime_core::{ApiError, ScopeSet};
use secrecy::SecretString;
use serde::Deserialize;

use crate::Client;
use crate::transport::{Call, path};

/// Where to report errors to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SentryDsn {
    /// The DSN, for programs that keep it to themselves.
    pub dsn: SecretString,
    /// When it may stop to work.
    pub expires: Timestamp,
}

/// Opens a tunnel for a client id.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct WebsocktunnelToken {
    /// The client id that it is for.
    pub wst_client: String,
    /// The servers that it is for.
    pub wst_audience: String,
    /// The token to send as `Bearer`.
    pub token: SecretString,
    /// When it ends.
    pub expires: Timestamp,
}

/// The auth service.
impl Client {
    /// Gets a place to report errors of a project to; ask anew once a day.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: what was handed out unseen expires.
    pub async fn sentry_dsn(&self, project: &str) -> Result<SentryDsn, ApiError> {
        let call = Call::get("auth.sentryDSN", path("auth", ["sentry", project, "dsn"]));
        let answer: SentryAnswer = self.call(call).await?;
        Ok(SentryDsn {
            dsn: answer.dsn.secret,
            expires: answer.expires,
        })
    }

    /// Gets a token with which `client` can open a tunnel at the servers of `audience`.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: what was handed out unseen expires.
    pub async fn websocktunnel_token(
        &self,
        audience: &str,
        client: &str,
    ) -> Result<WebsocktunnelToken, ApiError> {
        let path = path("auth", ["websocktunnel", audience, client]);
        self.call(Call::get("auth.websocktunnelToken", path)).await
    }

    /// The scopes of the credentials in use.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    pub async fn current_scopes(&self) -> Result<ScopeSet, ApiError> {
        let call = Call::get("auth.currentScopes", path("auth", ["scopes", "current"]));
        let answer: Scopes = self.call(call).await?;
        Ok(answer.scopes)
    }
}

#[derive(Deserialize)]
struct Scopes {
    scopes: ScopeSet,
}

#[derive(Deserialize)]
struct SentryAnswer {
    dsn: Dsn,
    expires: Timestamp,
}

/// There is a public one too, which is for browsers.
#[derive(Deserialize)]
struct Dsn {
    secret: SecretString,
}
