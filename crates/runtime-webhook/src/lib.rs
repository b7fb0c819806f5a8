//! Gives hooks of a running task a URL: localhost, TLS and tunnels.
