//! Building blocks for Taskcluster workers.
//!
//! This crate holds no code: it gives the `runtime-*` crates one name and one version. What every
//! part shares (task context, environment, errors, ports) is at the root; each part is a module
//! behind a feature of its name.
//!
//! Who writes a library, such as an engine or a plugin, depends on `runtime-core` and the parts that
//! it needs. Who writes a worker depends on this crate. The package is `worker-runtime`, the library
//! `runtime`:
//!
//! ```toml
//! [dependencies]
//! worker-runtime = { version = "0.1", features = ["client", "monitoring", "process", "webhook"] }
//! ```
//!
//! | you write | you turn on |
//! | --- | --- |
//! | a worker that runs tasks as processes of its machine | `client`, `monitoring`, `process`, `webhook` |
//! | a worker with your own engine | `client`, `monitoring`, `webhook`, `worker` |
//! | something else that caches or fetches what it may need again | `caching`, `fetcher` |
//! | tests of any of them | `mocks`, as a dev-dependency |
//!
//! # Example
//!
//! ```
//! # #[cfg(not(feature = "mocks"))] fn main() {}
//! # #[cfg(feature = "mocks")]
//! # fn main() {
//! use runtime::TaskContext;
//! use runtime::mocks::TestTask;
//!
//! // What an engine or a plugin does, and how a test looks at it.
//! fn greet(task: &TaskContext) {
//!     task.log("good morning");
//! }
//!
//! let task = TestTask::new(serde_json::json!({ "command": ["true"] }));
//! greet(task.context());
//! assert!(task.log().contains("good morning"));
//! # }
//! ```
//!
//! # Feature flags
#![cfg_attr(feature = "document-features", doc = document_features::document_features!())]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(inline)]
pub use runtime_core::*;

#[cfg(feature = "atomics")]
#[doc(inline)]
pub use runtime_atomics as atomics;
#[cfg(feature = "caching")]
#[doc(inline)]
pub use runtime_caching as caching;
#[cfg(feature = "client")]
#[doc(inline)]
pub use runtime_client as client;
#[cfg(feature = "fetcher")]
#[doc(inline)]
pub use runtime_fetcher as fetcher;
#[cfg(feature = "gc")]
#[doc(inline)]
pub use runtime_gc as gc;
#[cfg(feature = "ioext")]
#[doc(inline)]
pub use runtime_ioext as ioext;
#[cfg(feature = "mocks")]
#[doc(inline)]
pub use runtime_mocks as mocks;
#[cfg(feature = "monitoring")]
#[doc(inline)]
pub use runtime_monitoring as monitoring;
#[cfg(feature = "process")]
#[doc(inline)]
pub use runtime_process as process;
#[cfg(feature = "webhook")]
#[doc(inline)]
pub use runtime_webhook as webhook;
#[cfg(feature = "worker")]
#[doc(inline)]
pub use runtime_worker as worker;

/// Compiles the Rust in the README and in the guides.
#[cfg(all(doctest, feature = "full"))]
mod compiled {
    macro_rules! compile {
        ($($name:ident $path:literal,)*) => { $(#[doc = include_str!($path)] struct $name;)* };
    }

    compile! {
        Readme "../../../README.md",
        FromGo "../../../docs/from-go.md",
        Caches "../../../docs/guide/caches.md",
        Fetching "../../../docs/guide/fetching.md",
        Logs "../../../docs/guide/logs.md",
        Production "../../../docs/guide/production.md",
        Testing "../../../docs/guide/testing.md",
        Monitoring "../../../docs/guide/monitoring.md",
        WebHooks "../../../docs/guide/webhooks.md",
        Worker "../../../docs/guide/worker.md",
    }
}
