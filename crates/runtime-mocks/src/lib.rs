//! A test kit for workers: mocks of the ports, and an embedded Taskcluster.
//!
//! Most mocks are pairs: an object for the code under test, and a handle for the test.
//!
//! | to test | use |
//! | --- | --- |
//! | code that counts, measures, logs or reports | [`MockMonitor`] |
//! | code that calls the services or uploads artifacts | [`MockQueue`] |
//! | code that signs requests | [`MockAuthorizer`] |
//! | code that waits for a time of day | [`MockClock`] |
//! | an engine or a plugin | [`TestTask`]: a task context with a captured log |
//! | whether an engine or a plugin keeps its contract | `engine_suite!` and `plugin_suite!` (feature `worker`) |
//! | a worker or a client, over HTTP | `taskcluster::Taskcluster` (feature `taskcluster`) |
//! | a tunnel | `websocktunnel::WebsocktunnelServer` (feature `websocktunnel`) |
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
//! // The code under test gets `task.context()` and uploads an artifact:
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

#![cfg_attr(docsrs, feature(doc_cfg))]

mod authorizer;
mod monitor;
mod queue;
mod task;

#[cfg(feature = "worker")]
pub mod conformance;
#[cfg(feature = "websocktunnel")]
pub mod websocktunnel;

#[doc(inline)]
#[cfg(feature = "taskcluster")]
pub use runtime_taskcluster_embedded as taskcluster;

pub use authorizer::MockAuthorizer;
#[cfg(feature = "worker")]
pub use conformance::MockEngine;
pub use monitor::{LogLine, MockMonitor, RecordedSpan, ReportedIncident};
pub use queue::{MockQueue, ReceivedUpload, UploadReceiver};
pub use runtime_core::clock::MockClock;
pub use task::{TestTask, definition};
