//! Streams over a WebSocket: against another session, and against a peer that sends what it likes.

mod codec;
mod flow;
mod life;
mod peer;
mod properties;
mod support;
