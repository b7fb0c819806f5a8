//! The way out, chosen by configuration.

#[cfg(feature = "localtunnel")]
mod localtunnel;
#[cfg(feature = "public")]
mod public;
mod server;
#[cfg(feature = "websocktunnel")]
mod websocktunnel;

use runtime_core::Monitor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HttpLimits, LocalhostServer};

#[cfg(feature = "localtunnel")]
pub use self::localtunnel::LocaltunnelConfig;
#[cfg(feature = "public")]
pub use self::public::{PublicConfig, StatelessDnsConfig};
pub use self::server::{ConfiguredServer, StartServerError};
#[cfg(feature = "websocktunnel")]
pub use self::websocktunnel::{Tokens, WebsocktunnelConfig};

/// The way out for hooks, by the name of its provider.
///
/// Only providers whose features are on can be chosen. [`schema`](Self::schema) describes them all.
///
/// ```
/// use runtime_webhook::{WebHookConfig, ServerDependencies};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config: WebHookConfig = serde_json::from_str(r#"{"provider": "localhost", "port": 0}"#)?;
/// let server = config.start(ServerDependencies::default()).await?;
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "provider", rename_all = "camelCase")]
#[non_exhaustive]
pub enum WebHookConfig {
    /// No way out: attaching a hook is refused.
    None(NoConfig),
    /// A server for clients on the same machine.
    Localhost(LocalhostConfig),
    /// A server on a port of this machine that the world can reach.
    #[cfg(feature = "public")]
    Public(PublicConfig),
    /// A tunnel through a localtunnel server, for tests.
    #[cfg(feature = "localtunnel")]
    Localtunnel(LocaltunnelConfig),
    /// A tunnel through a websocktunnel server.
    #[cfg(feature = "websocktunnel")]
    Websocktunnel(WebsocktunnelConfig),
}

/// There is nothing to configure.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// A server for clients on the same machine.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct LocalhostConfig {
    /// The port; 0 takes a free one.
    pub port: u16,
}

/// What the application gives to the server, whichever it is.
#[derive(Debug)]
pub struct ServerDependencies {
    /// Where to count and to log.
    pub monitor: Monitor,
    /// What the server puts up with.
    pub limits: HttpLimits,
    /// Where tokens for a tunnel come from.
    #[cfg(feature = "websocktunnel")]
    pub tokens: Option<Tokens>,
}

impl Default for ServerDependencies {
    fn default() -> Self {
        Self {
            monitor: Monitor::null(),
            limits: HttpLimits::default(),
            #[cfg(feature = "websocktunnel")]
            tokens: None,
        }
    }
}

impl WebHookConfig {
    /// The JSON schema of this configuration.
    #[must_use]
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(WebHookConfig)
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// A [`StartServerError`] if what is configured cannot work.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is left open.
    pub async fn start(
        self,
        needs: ServerDependencies,
    ) -> Result<ConfiguredServer, StartServerError> {
        Ok(match self {
            Self::None(_) => ConfiguredServer::None,
            Self::Localhost(config) => {
                let server = LocalhostServer::builder()
                    .port(config.port)
                    .limits(needs.limits)
                    .monitor(needs.monitor);
                ConfiguredServer::Localhost(server.start().await?)
            }
            #[cfg(feature = "public")]
            Self::Public(config) => ConfiguredServer::Public(config.start(needs).await?),
            #[cfg(feature = "localtunnel")]
            Self::Localtunnel(config) => ConfiguredServer::Localtunnel(config.start(needs)?),
            #[cfg(feature = "websocktunnel")]
            Self::Websocktunnel(config) => ConfiguredServer::Websocktunnel(config.start(needs)?),
        })
    }
}
