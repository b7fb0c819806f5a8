//! Options that servers and tunnels share.

use std::sync::Arc;
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
use std::time::Duration;

use runtime_core::Monitor;

use crate::http_limits::HttpLimits;
use crate::server::{AbortServerOnDrop, Fallback, HookServer};
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
use crate::{
    tunnel_server::{TunnelServer, TunnelSetupError},
    tunnel_state::TunnelState,
};

/// Options of every server.
#[derive(Clone, Debug)]
pub(crate) struct ServerOptions {
    pub(crate) limits: HttpLimits,
    pub(crate) monitor: Monitor,
    pub(crate) fallback: Option<Fallback>,
}

impl ServerOptions {
    pub(crate) fn into_server(self) -> AbortServerOnDrop {
        let server = HookServer::new(self.limits, &self.monitor, self.fallback);
        AbortServerOnDrop(Arc::new(server))
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            limits: HttpLimits::default(),
            monitor: Monitor::null(),
            fallback: None,
        }
    }
}

/// Options of every tunnel.
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
#[derive(Debug)]
pub(crate) struct TunnelOptions {
    pub(crate) server: ServerOptions,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) attach_timeout: Duration,
    pub(crate) max_reconnect_delay: Duration,
}

#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
impl TunnelOptions {
    /// Returns the parts of a tunnel through the server at this URL.
    pub(crate) fn into_parts(
        self,
        server_url: &str,
    ) -> Result<(AbortServerOnDrop, Arc<TunnelState>, TunnelServer), TunnelSetupError> {
        let tls = match self.tls {
            Some(config) => config,
            // Lenient: a machine without root certificates can still reach a server without TLS.
            None => Arc::new(runtime_http::lenient_tls_config(&[])?),
        };
        let tunnel_server = TunnelServer::parse(server_url, tls)?;
        let server = self.server.into_server();
        let state = TunnelState::new(&server, self.attach_timeout);
        Ok((server, Arc::new(state), tunnel_server))
    }
}

#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
impl Default for TunnelOptions {
    fn default() -> Self {
        Self {
            server: ServerOptions::default(),
            tls: None,
            attach_timeout: Duration::from_secs(30),
            max_reconnect_delay: Duration::from_secs(2),
        }
    }
}
