//! What monitors tell comes out as logs and metrics.

mod install;
mod logs;
mod metrics;
mod support;
