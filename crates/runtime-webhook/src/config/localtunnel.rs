//! Configuration of a tunnel through a localtunnel server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::configured_server::ServerDependencies;
use crate::localtunnel::{Localtunnel, LocaltunnelError};

/// A tunnel through a localtunnel server, for tests.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LocaltunnelConfig {
    /// The URL of the server.
    pub server_url: String,

    /// The requested subdomain. By default the server chooses one.
    #[serde(default)]
    pub subdomain: Option<String>,
}

impl LocaltunnelConfig {
    pub(super) fn start(
        self,
        dependencies: ServerDependencies,
    ) -> Result<Localtunnel, LocaltunnelError> {
        let mut tunnel = Localtunnel::builder(self.server_url)
            .limits(dependencies.limits)
            .monitor(dependencies.monitor);
        if let Some(name) = self.subdomain {
            tunnel = tunnel.subdomain(name);
        }
        tunnel.start()
    }
}
