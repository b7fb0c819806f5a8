//! Sessions against each other and against a raw peer.

mod codec;
mod flow;
mod lifecycle;
mod misbehaving_peer;
mod properties;
mod support;
mod websocket;
