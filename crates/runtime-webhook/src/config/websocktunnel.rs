//! Configuration of the tunnel through a websocktunnel server.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ServerDependencies, StartServerError};
use crate::{TokenSource, Websocktunnel};

/// A tunnel through a websocktunnel server.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WebsocktunnelConfig {
    /// The URL of the server.
    pub server_url: String,

    /// The audience that the server takes tokens for.
    pub audience: String,

    /// The client id, which no other client may use: `<workerGroup>.<workerId>.<something>` by custom.
    pub client_id: String,

    /// How many bytes of a stream are taken before some were read. 1 MiB by default.
    #[serde(default = "receive_window")]
    #[schemars(range(min = 1))]
    pub receive_window: u32,

    /// How many bytes the server is taken to take at first. 4 MiB by default; 1024 for servers before
    /// version 94.
    #[serde(default = "assumed_window")]
    #[schemars(range(min = 1))]
    pub assumed_window: u32,
}

fn receive_window() -> u32 {
    1 << 20
}

fn assumed_window() -> u32 {
    4 << 20
}

/// Makes a source of tokens for an audience and a client id.
///
/// ```
/// use runtime_webhook::{Tokens, token_fn};
///
/// let tokens = Tokens::new(|audience, client_id| {
///     // `client.websocktunnel_token(audience, client_id)` with the worker's credentials.
///     # let _ = (audience, client_id);
///     token_fn(|| async { Err("no credentials".into()) })
/// });
/// ```
pub struct Tokens(Box<Source>);

type Source = dyn Fn(&str, &str) -> Arc<dyn TokenSource> + Send + Sync;

impl Tokens {
    /// Wraps a function of the audience and the client id.
    pub fn new(
        source: impl Fn(&str, &str) -> Arc<dyn TokenSource> + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(source))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl WebsocktunnelConfig {
    pub(super) fn start(
        self,
        needs: ServerDependencies,
    ) -> Result<Websocktunnel, StartServerError> {
        let tokens = needs.tokens.ok_or(StartServerError::NoTokens)?;
        let tokens = (tokens.0)(&self.audience, &self.client_id);
        let tunnel = Websocktunnel::builder(self.server_url, self.client_id, tokens)
            .windows(self.receive_window.max(1), self.assumed_window.max(1))
            .limits(needs.limits)
            .monitor(needs.monitor);
        Ok(tunnel.start()?)
    }
}
