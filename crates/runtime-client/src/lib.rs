//! Speaks to Taskcluster over HTTP: queue, index, credentials and artifact uploads.
//!
//! [`TaskclusterDeployment`] is the [`Deployment`](runtime_core::Deployment) that an application hands
//! to a worker. A [`Client`] of it implements the ports [`Queue`](runtime_core::queue::Queue),
//! [`Index`](runtime_core::index::Index), [`Objects`](runtime_core::object::Objects) and
//! [`ArtifactUploader`](runtime_core::artifact::ArtifactUploader), and has methods of its own for what
//! only an application calls.
//!
//! | for | use |
//! | --- | --- |
//! | a worker that has credentials | [`TaskclusterDeployment`] with a [`CredentialsWatch`](runtime_core::CredentialsWatch) |
//! | a worker that registers with the worker manager | [`Registrar`], whose [`Renewal`] is a source of shutdown |
//! | calls that only an application makes | [`Client`] |
//! | URLs and headers for a program that cannot sign | [`Authorizer`] |
//! | notice that the machine goes away | [`shutdown`] |
//!
//! # What it takes care of
//!
//! - **Credentials change.** Each attempt takes those of its moment and is signed anew. Nothing is locked
//!   while a request is on its way. A 401 waits for other credentials.
//! - **Calls fail.** What may succeed later is tried again: exponential delays, full jitter, a budget of
//!   time, `Retry-After`. Errors carry status, code, message and the ids under which the service logged
//!   the request. An answer of HTML is an error like others.
//! - **Claims are precious.** `claimWork` is not cancelled in flight, and not sent again unless it
//!   certainly had no effect.
//! - **Artifacts arrive whole or not at all.** One pass over the source hashes and sends; a source that
//!   changes meanwhile is an error; each attempt has a fresh URL; a stall ends an attempt, however long
//!   the whole may take. A store's `Retry-After` is heard as well.
//!
//! # Example
//!
//! ```no_run
//! use runtime_client::TaskclusterDeployment;
//! use runtime_core::artifact::{Artifact, ArtifactBody, ArtifactSource, ContentEncoding, S3Artifact};
//! use runtime_core::queue::ClaimWorkRequest;
//! use runtime_core::{Credentials, CredentialsCell, Deployment, Run};
//!
//! # async fn work() -> Result<(), Box<dyn std::error::Error>> {
//! let deployment = TaskclusterDeployment::new("https://tc.example.com")?;
//! let worker = CredentialsCell::new(Some(Credentials::new("worker/proj/linux/1", "a-secret")));
//! let services = deployment.connect(worker.watch());
//!
//! let request = ClaimWorkRequest {
//!     worker_group: "us-east".to_owned(),
//!     worker_id: "i-123".to_owned(),
//!     tasks: 1,
//! };
//! for claim in services.queue.claim_work("proj/linux", &request).await? {
//!     let run = Run { task_id: claim.status.task_id.clone(), run_id: claim.run_id };
//!     // No artifact outlives its task: not the deadline, until which it may run, but the end of its record.
//!     let expires = claim.task.expires.ok_or("the queue tells when a task is forgotten")?;
//!     let task = CredentialsCell::new(Some(claim.credentials));
//!     let services = deployment.connect(task.watch());
//!     let hello = Artifact {
//!         name: "public/hello.txt".to_owned(),
//!         expires: None,
//!         content: ArtifactBody::S3(S3Artifact {
//!             content_type: "text/plain".to_owned(),
//!             encoding: ContentEncoding::Auto,
//!             source: ArtifactSource::Bytes("hello".into()),
//!         }),
//!     };
//!     services.uploader.upload(&run, expires, &hello).await?;
//!     services.queue.report_completed(&run).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Limitations
//!
//! - HTTP/1.1 only.
//! - Of an `ArtifactSource::File`, a link in a folder above is followed, and one in the place of the file is
//!   refused; `FileWithoutLinks` refuses both.
//! - An interrupted upload starts again from its first byte: signed URLs know no ranges.

mod authorizer;
mod client;
mod client_error;
mod deployment;
mod index;
mod objects;
mod queue;
mod registration;
mod services;
mod settings;
pub mod shutdown;
mod transport;
mod upload;

pub use authorizer::{Authorizer, SignError};
pub use client::Client;
pub use client_error::ClientError;
pub use deployment::TaskclusterDeployment;
pub use registration::{RegisterError, Registered, Registrar, Renewal};
pub use runtime_core::purge_cache::PurgeRequest;
pub use services::{
    Registration, SentryDsn, StoredSecret, TerminationNotice, WebsocktunnelToken, WorkerError,
    WorkerName,
};
pub use settings::{ClientSettings, RetrySettings};
