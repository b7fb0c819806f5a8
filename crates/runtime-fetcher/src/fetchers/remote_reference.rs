//! References whose bytes are behind a URL.

use std::fmt;

use async_trait::async_trait;
use runtime_core::TaskId;
use url::Url;

use super::artifact_location::{locate_content, locate_object};
use crate::attempt_error::AttemptError;
use crate::context::FetchContext;
use crate::download::{Source, download};
use crate::error::FetchError;
use crate::hash::Hashes;
use crate::hash_key::HashKey;
use crate::http::{Location, Trust, redacted};
use crate::reference::{Fetched, Reference};
use crate::required_scopes::RequiredScopes;
use crate::target::Target;

/// A resolved reference whose bytes are behind a URL.
pub(super) struct RemoteReference {
    pub(super) origin: Origin,
    pub(super) hashes: Hashes,
}

/// The service that has the bytes.
pub(super) enum Origin {
    Url(Url),
    /// An artifact of the queue.
    Artifact {
        task_id: TaskId,
        run_id: u32,
        name: String,
    },
    /// An object of the object service.
    Object(String),
}

#[async_trait]
impl Reference for RemoteReference {
    fn subject(&self) -> String {
        match &self.origin {
            Origin::Url(url) => redacted(url),
            Origin::Artifact {
                task_id,
                run_id,
                name,
            } => format!("artifact `{name}` of task {task_id}/{run_id}"),
            Origin::Object(name) => format!("object `{name}`"),
        }
    }

    fn hash_key(&self) -> HashKey {
        let hashes = self.hashes.key_parts();
        match &self.origin {
            // The bytes are the same at every URL.
            Origin::Url(_) if self.hashes.has_strong() => HashKey::new("hash", hashes),
            Origin::Url(url) => HashKey::new("url", [url.to_string()].into_iter().chain(hashes)),
            // Not shared with a URL of the same hash: a task that knows the hash of a private artifact could
            // get the cached copy without the scope for it.
            Origin::Artifact {
                task_id,
                run_id,
                name,
            } => {
                let parts = [task_id.to_string(), run_id.to_string(), name.clone()];
                HashKey::new("artifact", parts.into_iter().chain(hashes))
            }
            Origin::Object(name) => {
                HashKey::new("object", [name.clone()].into_iter().chain(hashes))
            }
        }
    }

    fn scopes(&self) -> RequiredScopes {
        match &self.origin {
            Origin::Url(_) => RequiredScopes::none(),
            Origin::Artifact { name, .. } if name.starts_with("public/") => RequiredScopes::none(),
            Origin::Artifact { name, .. } => {
                RequiredScopes::all_of([format!("queue:get-artifact:{name}")])
            }
            Origin::Object(name) => RequiredScopes::all_of([format!("object:download:{name}")]),
        }
    }

    async fn fetch(
        &self,
        context: &FetchContext,
        target: &mut dyn Target,
    ) -> Result<Fetched, FetchError> {
        download(self, context, target).await
    }
}

#[async_trait]
impl Source for RemoteReference {
    async fn locate(&self, context: &FetchContext) -> Result<Location, AttemptError> {
        let services = context.services();
        match &self.origin {
            Origin::Url(url) => Ok(Location {
                url: url.clone(),
                trust: Trust::Task,
                hashes: self.hashes.clone(),
                follow_redirects: true,
            }),
            Origin::Artifact {
                task_id,
                run_id,
                name,
            } => {
                let content = services.queue.artifact(task_id, Some(*run_id), name);
                locate_content(services, content.await?, &self.hashes).await
            }
            Origin::Object(name) => locate_object(services, name, None, &self.hashes).await,
        }
    }
}

impl fmt::Debug for RemoteReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteReference")
            .field("subject", &self.subject())
            .field("hashes", &self.hashes)
            .finish()
    }
}
