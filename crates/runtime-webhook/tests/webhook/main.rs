//! Hooks as their clients see them, over loopback.

mod live_log;
mod localhost;
mod support;
