//! The dependencies of a configured server.

use runtime_core::Monitor;

#[cfg(feature = "websocktunnel")]
use super::websocktunnel::TokenSourceFactory;
use crate::http_limits::HttpLimits;

/// The parts of a server that the application provides, in addition to the configuration.
#[derive(Debug)]
pub struct ServerDependencies {
    /// The monitor that receives metrics and log lines, with the prefix `webhook`.
    pub monitor: Monitor,
    /// The limits of connections and requests.
    pub limits: HttpLimits,
    /// The source of tokens, required for the provider `websocktunnel`.
    #[cfg(feature = "websocktunnel")]
    pub tokens: Option<TokenSourceFactory>,
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
