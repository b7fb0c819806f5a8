//! Servers selected by configuration.

mod configured_server;
#[cfg(feature = "localtunnel")]
mod localtunnel;
#[cfg(feature = "public")]
mod public;
#[cfg(feature = "websocktunnel")]
mod websocktunnel;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::configured_server::{ConfiguredServer, ServerDependencies, StartServerError};
#[cfg(feature = "localtunnel")]
pub use self::localtunnel::LocaltunnelConfig;
#[cfg(feature = "public")]
pub use self::public::{PublicConfig, StatelessDnsConfig};
#[cfg(feature = "websocktunnel")]
pub use self::websocktunnel::{TokenSourceFactory, WebsocktunnelConfig};
use crate::localhost::LocalhostServer;

/// The configuration of a server, selected by the name of the provider.
///
/// The providers of disabled features are not available. [`schema`](Self::schema) describes the others.
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
    /// No server: hooks cannot be attached.
    None(NoConfig),
    /// A server for clients on the same machine.
    Localhost(LocalhostConfig),
    /// A server on a public port of this machine.
    #[cfg(feature = "public")]
    Public(PublicConfig),
    /// A tunnel through a localtunnel server, for tests.
    #[cfg(feature = "localtunnel")]
    Localtunnel(LocaltunnelConfig),
    /// A tunnel through a websocktunnel server.
    #[cfg(feature = "websocktunnel")]
    Websocktunnel(WebsocktunnelConfig),
}

/// A provider without options.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// A server for clients on the same machine.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct LocalhostConfig {
    /// The port; 0 chooses a free one.
    pub port: u16,
}

impl WebHookConfig {
    /// Returns the JSON schema of the configuration.
    #[must_use]
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(WebHookConfig)
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// A [`StartServerError`] if the configuration is invalid or the server cannot listen.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is left open.
    pub async fn start(
        self,
        dependencies: ServerDependencies,
    ) -> Result<ConfiguredServer, StartServerError> {
        Ok(match self {
            Self::None(_) => ConfiguredServer::None,
            Self::Localhost(config) => {
                let server = LocalhostServer::builder()
                    .port(config.port)
                    .limits(dependencies.limits)
                    .monitor(dependencies.monitor);
                ConfiguredServer::Localhost(server.start().await?)
            }
            #[cfg(feature = "public")]
            Self::Public(config) => ConfiguredServer::Public(config.start(dependencies).await?),
            #[cfg(feature = "localtunnel")]
            Self::Localtunnel(config) => ConfiguredServer::Localtunnel(config.start(dependencies)?),
            #[cfg(feature = "websocktunnel")]
            Self::Websocktunnel(config) => {
                let tokens = dependencies.tokens.ok_or(StartServerError::NoTokens)?;
                let tunnel = config
                    .into_builder(&tokens)
                    .limits(dependencies.limits)
                    .monitor(dependencies.monitor);
                ConfiguredServer::Websocktunnel(tunnel.start()?)
            }
        })
    }
}
