//! The public API in one test program, so that there is one program to link.

mod artifacts;
mod authorizer;
mod environment;
mod error;
mod lifecycle;
mod monitor;
mod queue_model;
mod scopes;
mod secret;
mod shutdown;
mod storage;
mod task;
mod util;
mod webhook;
