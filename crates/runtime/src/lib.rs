//! Building blocks for Taskcluster workers.
//!
//! This crate has no code. It re-exports the `runtime-*` crates under one name and one version: the shared types
//! of `runtime-core` (task context, environment, errors, ports) at the root, and most other crates as modules
//! behind features of the same names.
//!
//! Depend on this crate to write a worker. To write a library, such as an engine or a plugin, depend on
//! `runtime-core` and the crates that it uses. The package is called `worker-runtime`, the library `runtime`:
//!
//! ```toml
//! [dependencies]
//! worker-runtime = { version = "0.1", features = ["client", "monitoring", "process", "webhook"] }
//! ```
//!
//! | to write | enable |
//! | --- | --- |
//! | a complete worker around an engine | `app`, and `process` or `worker` |
//! | a worker that you assemble yourself, which runs tasks as processes | `client`, `monitoring`, `process`, `webhook` |
//! | a worker with another engine | `client`, `monitoring`, `webhook`, `worker` |
//! | either, with caches and inputs of tasks | `mounts` in addition |
//! | a program that caches or fetches inputs | `caching`, `fetcher` |
//! | a program that runs untrusted commands | `sandbox` |
//! | tests | `mocks`, as a dev-dependency |
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
//! // Part of an engine or a plugin.
//! fn greet(task: &TaskContext) {
//!     task.log("good morning");
//! }
//!
//! // A test of it.
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

#[cfg(feature = "app")]
#[doc(inline)]
pub use runtime_app as app;
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
#[cfg(feature = "sandbox")]
#[doc(inline)]
pub use runtime_sandbox as sandbox;
#[cfg(feature = "webhook")]
#[doc(inline)]
pub use runtime_webhook as webhook;
#[cfg(feature = "worker")]
#[doc(inline)]
pub use runtime_worker as worker;

/// Compiles the Rust code in the README and the guides.
#[cfg(all(doctest, feature = "full"))]
mod compiled {
    macro_rules! compile {
        ($($name:ident $path:literal,)*) => { $(#[doc = include_str!($path)] struct $name;)* };
    }

    compile! {
        Readme "../../../README.md",
        App "../../../docs/guide/app.md",
        Caches "../../../docs/guide/caches.md",
        Commands "../../../docs/guide/commands.md",
        Fetching "../../../docs/guide/fetching.md",
        GoAuthors "../../../docs/guide/go-authors.md",
        Logs "../../../docs/guide/logs.md",
        Production "../../../docs/guide/production.md",
        Testing "../../../docs/guide/testing.md",
        MonitoringParts "../../../docs/guide/monitoring.md",
        WebHooks "../../../docs/guide/webhooks.md",
        Worker "../../../docs/guide/worker.md",
    }
}
