//! What builders of servers have in common.

use std::sync::Arc;
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
use std::time::Duration;

use runtime_core::Monitor;

use crate::HttpLimits;
use crate::server::Server;

/// What every server is set up with.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) limits: HttpLimits,
    pub(crate) monitor: Monitor,
}

impl Common {
    pub(crate) fn server(self) -> Arc<Server> {
        Arc::new(Server::new(self.limits, &self.monitor))
    }
}

impl Default for Common {
    fn default() -> Self {
        Self {
            limits: HttpLimits::default(),
            monitor: Monitor::null(),
        }
    }
}

/// What every tunnel is set up with.
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
#[derive(Debug)]
pub(crate) struct TunnelSettings {
    pub(crate) common: Common,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) attach_timeout: Duration,
    pub(crate) max_wait: Duration,
}

#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
impl TunnelSettings {
    /// What connects to `https:` servers.
    pub(crate) fn tls(&mut self) -> Result<Arc<rustls::ClientConfig>, runtime_http::TlsError> {
        match self.tls.take() {
            Some(config) => Ok(config),
            None => runtime_http::lenient_tls_config(&[]).map(Arc::new),
        }
    }
}

#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
impl Default for TunnelSettings {
    fn default() -> Self {
        Self {
            common: Common::default(),
            tls: None,
            attach_timeout: Duration::from_secs(30),
            max_wait: Duration::from_secs(2),
        }
    }
}

/// The methods of a builder that has a [`Common`] in this field.
macro_rules! common_methods {
    ($($field:ident).+) => {
        /// Sets the limits of connections and requests.
        pub fn limits(mut self, limits: crate::HttpLimits) -> Self {
            self.$($field).+.limits = limits;
            self
        }

        /// Counts and logs to this monitor, under `webhook`.
        pub fn monitor(mut self, monitor: runtime_core::Monitor) -> Self {
            self.$($field).+.monitor = monitor;
            self
        }
    };
}
pub(crate) use common_methods;

/// The methods of a builder that has [`TunnelSettings`] in its field `settings`.
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
macro_rules! tunnel_methods {
    () => {
        crate::settings::common_methods!(settings.common);

        /// Connects to the server with this TLS configuration; by default it trusts what the operating
        /// system trusts.
        pub fn tls(mut self, config: std::sync::Arc<rustls::ClientConfig>) -> Self {
            self.settings.tls = Some(config);
            self
        }

        /// How long attaching a hook waits for the tunnel to open the first time. 30 seconds by default.
        pub fn attach_timeout(mut self, limit: std::time::Duration) -> Self {
            self.settings.attach_timeout = limit;
            self
        }

        /// Waits at most this long before another attempt at a server that is away: 2 seconds by default,
        /// which cost it a refused connection or handshake.
        pub fn max_wait(mut self, limit: std::time::Duration) -> Self {
            self.settings.max_wait = limit;
            self
        }
    };
}
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
pub(crate) use tunnel_methods;
