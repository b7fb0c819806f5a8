//! Servers and handlers over the loopback interface, and the sessions of tunnels.

#[cfg(feature = "config")]
mod config;
mod limits;
mod live_log;
mod localhost;
#[cfg(feature = "localtunnel")]
mod localtunnel;
#[cfg(feature = "public")]
mod public;
#[cfg(all(feature = "shell", unix))]
mod shell;
mod support;
#[cfg(feature = "websocktunnel")]
mod websocktunnel;
#[cfg(feature = "wsmux")]
mod wsmux;
