//! Options and builder methods that servers and tunnels share.

use std::sync::Arc;
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
use std::time::Duration;

use runtime_core::Monitor;

use crate::http_limits::HttpLimits;
use crate::server::{HookServer, RunningServer};

/// Options of every server.
#[derive(Clone, Debug)]
pub(crate) struct ServerOptions {
    pub(crate) limits: HttpLimits,
    pub(crate) monitor: Monitor,
}

impl ServerOptions {
    pub(crate) fn into_server(self) -> RunningServer {
        let server = HookServer::new(self.limits, &self.monitor);
        RunningServer::new(Arc::new(server))
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            limits: HttpLimits::default(),
            monitor: Monitor::null(),
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
    /// Returns the TLS configuration for connections to the tunnel server.
    pub(crate) fn tls(&mut self) -> Result<Arc<rustls::ClientConfig>, runtime_http::TlsError> {
        match self.tls.take() {
            Some(config) => Ok(config),
            // Lenient: a machine without root certificates can still reach a server without TLS.
            None => runtime_http::lenient_tls_config(&[]).map(Arc::new),
        }
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

/// Defines the methods of a builder with [`ServerOptions`] in this field.
macro_rules! server_option_methods {
    ($($field:ident).+) => {
        /// Sets the limits of connections and requests.
        pub fn limits(mut self, limits: crate::http_limits::HttpLimits) -> Self {
            self.$($field).+.limits = limits;
            self
        }

        /// Sets the monitor that receives metrics and log lines, with the prefix `webhook`.
        pub fn monitor(mut self, monitor: runtime_core::Monitor) -> Self {
            self.$($field).+.monitor = monitor;
            self
        }
    };
}
pub(crate) use server_option_methods;

/// Defines the methods of a builder with [`TunnelOptions`] in its field `options`.
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
macro_rules! tunnel_option_methods {
    () => {
        crate::options::server_option_methods!(options.server);

        /// Sets the TLS configuration for connections to the tunnel server. By default the certificate
        /// authorities of the operating system are trusted.
        pub fn tls(mut self, config: std::sync::Arc<rustls::ClientConfig>) -> Self {
            self.options.tls = Some(config);
            self
        }

        /// Sets how long attaching a hook waits for the first connection. 30 seconds by default.
        pub fn attach_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.attach_timeout = timeout;
            self
        }

        /// Sets the maximum delay before a reconnect to an unreachable server. 2 seconds by default: an
        /// attempt only costs the server a refused connection or a handshake.
        pub fn max_reconnect_delay(mut self, delay: std::time::Duration) -> Self {
            self.options.max_reconnect_delay = delay;
            self
        }
    };
}
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
pub(crate) use tunnel_option_methods;
