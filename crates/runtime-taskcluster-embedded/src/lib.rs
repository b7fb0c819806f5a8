//! An embedded Taskcluster: stateful, over HTTP on 127.0.0.1, for tests and development.
//!
//! [`Taskcluster`] implements the protocols of a real deployment: it verifies Hawk signatures, enforces scopes, expires
//! claims and accepts uploads to signed URLs. A call of a method that is not implemented is answered with status 404
//! and an explanation.
//!
//! | to | use |
//! | --- | --- |
//! | start a deployment | [`Taskcluster::start`], or [`Taskcluster::builder`] for settings |
//! | connect a worker or a client | [`root_url`](Taskcluster::root_url), [`credentials`](Taskcluster::credentials) |
//! | create tasks and check their resolution | [`create_task`](Taskcluster::create_task), [`wait_until_resolved`](Taskcluster::wait_until_resolved) |
//! | read artifacts | [`read_artifact`](Taskcluster::read_artifact) |
//! | keep the state | [`data_dir`](TaskclusterBuilder::data_dir) |
//! | test failures | [`inject`](Taskcluster::inject) with a [`FaultRule`] |
//! | test claims, deadlines and expiry | [`advance`](Taskcluster::advance) |
//!
//! # Example
//!
//! ```
//! # use runtime_taskcluster_embedded::{Taskcluster, TaskState};
//! # use serde_json::json;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let taskcluster = Taskcluster::start().await?;
//! let task_id = taskcluster.create_task(json!({
//!     "taskQueueId": "test/linux",
//!     "payload": { "command": ["true"] },
//! }))?;
//! // A worker would now claim the task from `taskcluster.root_url()`.
//! taskcluster.cancel_task(&task_id)?;
//! let status = taskcluster.wait_until_resolved(&task_id).await?;
//! assert_eq!(status.state, TaskState::Exception);
//! taskcluster.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Limitations
//!
//! Without [`data_dir`](TaskclusterBuilder::data_dir), the state is in memory and lost when the server stops. Pulse,
//! the GitHub service and the provisioning of workers are missing. Responses are not compressed. The times of
//! signatures are compared with the system clock, all other times with the clock of the [`Taskcluster`]. A signature
//! must have a nonce, but a repeated nonce is accepted.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod api;
mod body;
mod call;
mod connection;
mod context;
mod control;
mod credentials;
mod data_folder;
mod definition;
mod error;
mod faults;
mod hawk;
mod journal;
mod method;
#[cfg(feature = "pages")]
mod pages;
mod request;
mod router;
mod same_origin;
mod schema;
mod scopes;
mod server;
mod services;
mod slugid;
mod state;
mod taskcluster;
mod test_client;
mod time;

pub use self::error::{ErrorCode, RequestError};
pub use self::faults::{Fault, FaultHandle, FaultRule, UnknownMethodError};
pub use self::state::artifact::{ArtifactKind, DeclaredArtifact};
pub use self::state::task::{RunSnapshot, TaskSnapshot};
pub use self::taskcluster::Taskcluster;
pub use self::taskcluster::artifacts::{ReadArtifactError, StoredArtifact};
pub use self::taskcluster::builder::{StartError, TaskclusterBuilder};
pub use runtime_core::queue::TaskState;
