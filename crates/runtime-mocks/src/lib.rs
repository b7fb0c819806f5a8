//! A test kit for workers: mocks as pairs of an object and its handle, and an embedded Taskcluster.
//!
//! | for | use |
//! | --- | --- |
//! | code that counts, measures, logs or reports | [`MockMonitor`] |
//! | code that calls the services or uploads artifacts | [`MockQueue`] |
//! | code that waits for a time of day | [`MockClock`] |
//! | an engine or a plugin | [`TestTask`]: a task context with a captured log |
//! | a worker, a client: anything over HTTP | `taskcluster::Taskcluster` (feature `taskcluster`) |
//! | a tunnel | `websocktunnel::WebsocktunnelServer` (feature `websocktunnel`) |
#![cfg_attr(
    feature = "taskcluster",
    doc = "| a whole worker, a client, anything over HTTP | [`Taskcluster`](taskcluster::Taskcluster) |"
)]
#![cfg_attr(
    feature = "websocktunnel",
    doc = "| a worker behind a tunnel | [`WebsocktunnelServer`](websocktunnel::WebsocktunnelServer) |"
)]
//!
//! # Example
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use runtime_core::artifact::{Artifact, ArtifactBody, RedirectArtifact};
//! use runtime_mocks::{MockQueue, TestTask};
//! use serde_json::json;
//!
//! let (services, queue) = MockQueue::new();
//! let redirect = queue.expect_redirect_artifact("public/logs/live.log");
//! let task = TestTask::new(json!({})).with_services(services);
//!
//! // The code under test gets `task.context()` and does something like this:
//! let artifact = Artifact {
//!     name: "public/logs/live.log".to_owned(),
//!     expires: None,
//!     content: ArtifactBody::Reference(RedirectArtifact {
//!         content_type: "text/plain".to_owned(),
//!         url: "https://example.com/log".to_owned(),
//!     }),
//! };
//! task.context().upload(&artifact).await?;
//!
//! assert_eq!(redirect.received().await.redirect(), Some("https://example.com/log"));
//! # Ok(())
//! # }
//! ```
//!
//! # What it brings
//!
//! `taskcluster` adds the embedded Taskcluster, and with it hyper and all that speaks HTTP;
//! `websocktunnel` adds a tunnel server. Without them this crate needs little more than `runtime-core`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod monitor;
mod queue;
mod task;

#[cfg(feature = "websocktunnel")]
pub mod websocktunnel;

#[doc(inline)]
#[cfg(feature = "taskcluster")]
pub use runtime_taskcluster_embedded as taskcluster;

pub use monitor::{LogLine, MockMonitor, RecordedSpan, ReportedIncident};
pub use queue::{ExpectedUpload, MockQueue, ReceivedUpload};
pub use runtime_core::clock::MockClock;
pub use task::{TestTask, definition};
