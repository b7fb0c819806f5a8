//! Tokens that authenticate a client to the websocktunnel server.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use runtime_core::{
    BoxError,
    clock::{Clock, duration_until},
};
use secrecy::SecretString;

/// A token with less remaining time is replaced. The server checks it only at the handshake, so the margin
/// covers the handshake and differences between the clocks.
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(5 * 60);

/// A token of Taskcluster's auth service for one client id and audience.
#[derive(Clone, Debug)]
pub struct TunnelToken {
    /// The token.
    pub token: SecretString,
    /// The expiry of the token.
    pub expires: Timestamp,
}

/// A source of tunnel tokens: `auth.websocktunnelToken` with the credentials of the worker.
#[async_trait]
pub trait TokenSource: Send + Sync + 'static {
    /// Fetches a new token.
    ///
    /// # Errors
    ///
    /// Any error; the tunnel tries again.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the server stops.
    async fn token(&self) -> Result<TunnelToken, BoxError>;
}

/// Creates a token source from an async function.
///
/// ```
/// use runtime_webhook::{TunnelToken, token_fn};
/// # use secrecy::SecretString;
///
/// let source = token_fn(|| async {
///     // A worker calls `client.websocktunnel_token(audience, client_id)` here.
///     Ok(TunnelToken {
///         token: SecretString::from("a token"),
///         expires: jiff::Timestamp::MAX,
///     })
/// });
/// ```
pub fn token_fn<F, R>(function: F) -> Arc<dyn TokenSource>
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<TunnelToken, BoxError>> + Send + 'static,
{
    Arc::new(FnSource(function))
}

struct FnSource<F>(F);

#[async_trait]
impl<F, R> TokenSource for FnSource<F>
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<TunnelToken, BoxError>> + Send + 'static,
{
    async fn token(&self) -> Result<TunnelToken, BoxError> {
        (self.0)().await
    }
}

/// Caches the token between reconnects.
pub(super) struct TokenCache {
    source: Arc<dyn TokenSource>,
    clock: Arc<dyn Clock>,
    current: Option<TunnelToken>,
}

impl TokenCache {
    pub(super) fn new(source: Arc<dyn TokenSource>, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            current: None,
        }
    }

    /// Returns the cached token, or a new one if that is about to expire.
    pub(super) async fn get(&mut self) -> Result<&SecretString, BoxError> {
        let now = self.clock.now();
        let is_valid = |token: &TunnelToken| {
            duration_until(now, token.expires)
                .is_some_and(|remaining| remaining > RENEW_BEFORE_EXPIRY)
        };
        // Taken out, so that a failed request does not leave an expired token behind.
        let token = match self.current.take().filter(is_valid) {
            Some(token) => token,
            None => self.source.token().await?,
        };
        Ok(&self.current.insert(token).token)
    }

    /// Discards the token, since the server rejected it.
    pub(super) fn invalidate(&mut self) {
        self.current = None;
    }
}
