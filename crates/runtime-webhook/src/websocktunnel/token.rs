//! What lets a client in.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use runtime_core::{BoxError, clock::Clock, clock::until};
use secrecy::SecretString;

/// A token that is about to expire is not used any more.
const MARGIN: Duration = Duration::from_secs(5 * 60);

/// A token of Taskcluster's auth service for one client id and audience.
#[derive(Clone, Debug)]
pub struct TunnelToken {
    /// The token itself.
    pub token: SecretString,
    /// When it ends.
    pub expires: Timestamp,
}

/// Where tokens come from: `auth.websocktunnelToken`, with the worker's credentials.
#[async_trait]
pub trait TokenSource: Send + Sync + 'static {
    /// Gets a new token.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; it is tried again.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the server is stopped or takes too long.
    async fn token(&self) -> Result<TunnelToken, BoxError>;
}

/// Makes a source of an async function.
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

/// The token in use.
pub(super) struct Tokens {
    source: Arc<dyn TokenSource>,
    clock: Arc<dyn Clock>,
    current: Option<TunnelToken>,
}

impl Tokens {
    pub(super) fn new(source: Arc<dyn TokenSource>, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            current: None,
        }
    }

    /// A token that holds for some time; a new one if there is none.
    pub(super) async fn get(&mut self) -> Result<&SecretString, BoxError> {
        let now = self.clock.now();
        let holds =
            |token: &TunnelToken| until(now, token.expires).is_some_and(|left| left > MARGIN);
        let token = match self.current.take().filter(holds) {
            Some(token) => token,
            None => self.source.token().await?,
        };
        Ok(&self.current.insert(token).token)
    }

    /// The server did not like it: the next attempt takes a new one.
    pub(super) fn forget(&mut self) {
        self.current = None;
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}
