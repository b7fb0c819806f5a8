//! Hooks as their clients see them, over loopback.

mod live_log;
mod localhost;
#[cfg(feature = "public")]
mod public;
mod support;
#[cfg(feature = "websocktunnel")]
mod websocktunnel;
