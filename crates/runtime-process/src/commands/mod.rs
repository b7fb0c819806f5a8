//! An engine whose tasks are run by programs of the operator.

mod config;
mod engine;
mod sandbox;
#[cfg(test)]
mod tests;

pub use self::config::{CommandsConfig, CommandsConfigError};
pub use self::engine::CommandsEngine;
