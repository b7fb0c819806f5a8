//! Configuration of a tunnel through a websocktunnel server.

use std::fmt;
use std::sync::Arc;

use runtime_core::util::{ByteSize, at_least};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::websocktunnel::{TokenSource, Websocktunnel, WebsocktunnelBuilder};

/// A tunnel through a websocktunnel server.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WebsocktunnelConfig {
    /// The URL of the server.
    pub server_url: String,

    /// The audience of the server's tokens.
    pub audience: String,

    /// The client id, unique among the clients of the server. By convention it is
    /// `<workerGroup>.<workerId>.<suffix>`.
    pub client_id: String,

    /// The receive window of a stream. 1 MiB by default.
    #[serde(default = "receive_window", with = "ByteSize")]
    #[schemars(transform = at_least("1 B"))]
    pub receive_window: u64,

    /// The initial receive window of the server, which it does not announce. 4 MiB by default;
    /// servers before version 94 require 1 KiB.
    #[serde(default = "assumed_window", with = "ByteSize")]
    #[schemars(transform = at_least("1 B"))]
    pub assumed_window: u64,
}

fn receive_window() -> u64 {
    1 << 20
}

fn assumed_window() -> u64 {
    4 << 20
}

/// Creates a token source for the audience and client id in the configuration.
///
/// ```
/// use runtime_webhook::{TokenSourceFactory, token_fn};
///
/// let tokens = TokenSourceFactory::new(|audience, client_id| {
///     // `client.websocktunnel_token(audience, client_id)` with the worker's credentials.
///     # let _ = (audience, client_id);
///     token_fn(|| async { Err("no credentials".into()) })
/// });
/// ```
pub struct TokenSourceFactory(Box<NewTokenSource>);

type NewTokenSource = dyn Fn(&str, &str) -> Arc<dyn TokenSource> + Send + Sync;

impl TokenSourceFactory {
    /// Creates a factory from a function of the audience and the client id.
    pub fn new(
        function: impl Fn(&str, &str) -> Arc<dyn TokenSource> + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(function))
    }
}

impl fmt::Debug for TokenSourceFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSourceFactory").finish_non_exhaustive()
    }
}

impl WebsocktunnelConfig {
    pub(super) fn into_builder(self, tokens: &TokenSourceFactory) -> WebsocktunnelBuilder {
        let tokens = (tokens.0)(&self.audience, &self.client_id);
        Websocktunnel::builder(self.server_url, self.client_id, tokens)
            .windows(window(self.receive_window), window(self.assumed_window))
    }
}

/// Returns a window within the range of the protocol.
fn window(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX).max(1)
}
