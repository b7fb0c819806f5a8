//! Configuration files: YAML, TOML or JSON, checked against a JSON schema and deserialized into a struct.
//!
//! [`load`] supports any struct that derives `Deserialize` and `JsonSchema`. [`WorkerConfig`] contains the settings that
//! all workers share; an application adds its own:
//!
//! ```
//! use runtime_worker::config::{self, Format, Secret, WorkerConfig};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Deserialize, Serialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     worker: WorkerConfig,
//!     /// The password of the vault.
//!     vault: Option<Secret>,
//! }
//!
//! let text = "
//! worker:
//!   rootUrl: https://tc.example.com
//!   taskQueueId: proj/linux
//!   workerGroup: us-east
//!   workerId: i-1234
//!   dataFolder: /var/lib/worker
//! vault: open sesame
//! ";
//! let config: Config = config::parse(text, Format::Yaml)?;
//! assert_eq!(config.worker.capacity, 1);
//! assert!(!config::redacted(&config).contains("sesame"));
//!
//! let wrong = text.replace("workerId", "workerld");
//! let error = config::parse::<Config>(&wrong, Format::Yaml).unwrap_err();
//! assert!(error.to_string().contains("unknown key `worker.workerld`, did you mean `workerId`?"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`ConfigDocument`] also has layers, and values from environment variables, files and secrets.

mod deserialize;
mod document;
mod external_values;
mod format;
mod layer_problems;
mod lines;
mod load;
mod merge;
mod print;
mod reference_schema;
mod registration;
mod worker;

pub use document::{ConfigDocument, load, parse};
pub use format::Format;
pub use load::{ConfigError, schema};
pub use print::redacted;
pub use reference_schema::document_schema;
pub use registration::{MachineRegistration, RegistrationConfig, StaticRegistration};
pub use runtime_core::Secret;
pub use worker::{CredentialsConfig, PluginsConfig, ShutdownConfig, WorkerConfig};
