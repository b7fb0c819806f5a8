//! Taskcluster over HTTP: queue, index, objects, credentials and artifact uploads.
//!
//! An application passes a [`TaskclusterDeployment`] to a worker as its [`Deployment`](runtime_core::Deployment). Its
//! [`Client`]s implement the ports [`Queue`](runtime_core::queue::Queue), [`Index`](runtime_core::index::Index),
//! [`Objects`](runtime_core::object::Objects) and [`ArtifactUploader`](runtime_core::artifact::ArtifactUploader), and
//! have inherent methods for calls that only an application makes. Their [`Authorizer`] implements
//! [`RequestAuthorizer`](runtime_core::RequestAuthorizer).
//!
//! | for | use |
//! | --- | --- |
//! | a worker that has credentials | [`TaskclusterDeployment`] with a [`CredentialsWatch`](runtime_core::CredentialsWatch) |
//! | a worker that registers with the worker manager | [`Registrar`], whose [`RegistrationRenewal`] is a shutdown source |
//! | the identity of a machine in a cloud, and its proof | [`identity`] |
//! | calls that only an application makes | [`Client`] |
//! | signed URLs and headers for another program | [`Authorizer`] |
//! | notice of the shutdown of the machine | [`shutdown`] |
//!
//! # Guarantees
//!
//! - **Credentials are replaced while in use.** Each attempt is signed with the current credentials. No lock is held
//!   during a request. After a 401, a call waits for new credentials.
//! - **Transient failures are retried**, with exponential backoff, full jitter, a time budget and `Retry-After`. Errors
//!   have status, code, message and the ids under which the service logged the request, even if a proxy sent HTML.
//! - **Claims are not lost.** A `claimWork` request is never repeated. Dropping its call does not cancel it; dropping
//!   the client does.
//! - **Artifacts are stored completely or not at all.** A source is hashed and sent in one pass, and a source that
//!   changes is an error. Each attempt uses a new URL. An attempt fails when it makes no progress, but the whole upload
//!   may take any time.
//!
//! # Example
//!
//! ```no_run
//! use runtime_client::TaskclusterDeployment;
//! use runtime_core::artifact::{Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ContentEncoding, S3Artifact};
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
//!     // An artifact may exist as long as the record of its task, which is longer than the task's deadline.
//!     let expires = claim.task.expires.ok_or("the queue always sets the expiry of a task")?;
//!     let task = CredentialsCell::new(Some(claim.credentials));
//!     let services = deployment.connect(task.watch());
//!     let hello = Artifact {
//!         name: "public/hello.txt".to_owned(),
//!         expires: None,
//!         content: ArtifactBody::S3(S3Artifact {
//!             content_type: "text/plain".to_owned(),
//!             encoding: ContentEncoding::Auto,
//!             headers: ArtifactHeaders::new(),
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
//! - `ArtifactSource::File` refuses a path that is a link but follows links in its parent folders; `FileWithoutLinks`
//!   refuses both.
//! - If the response to the declaration of an `object` artifact is lost, its name can no longer be used for the run: the
//!   queue returns the upload only once. The upload then fails at once, with an error that says so.
//! - An interrupted upload restarts at the first byte, since signed URLs do not support ranges.

mod authorizer;
pub mod checks;
mod client;
mod client_error;
mod deployment;
pub mod identity;
mod index;
mod metadata_service;
mod objects;
mod queue;
mod registration;
mod service_clock;
mod services;
mod settings;
pub mod shutdown;
mod transport;
mod undelivered_claims;
mod upload;

pub use authorizer::Authorizer;
pub use client::Client;
pub use client_error::ClientError;
pub use deployment::TaskclusterDeployment;
pub use registration::{RegisterError, RegisteredWorker, Registrar, RegistrationRenewal};
pub use runtime_core::purge_cache::PurgeRequest;
pub use services::{
    PoolConfigError, RegisterResponse, SentryDsn, StoredSecret, TerminationNotice,
    WebsocktunnelToken, WorkerErrorReport, WorkerName, worker_config_for,
};
pub use settings::{ClientSettings, RetrySettings};
