//! The declaration of object artifacts, which the queue accepts once.

use std::collections::BTreeMap;

use runtime_core::artifact::{UploadError, Uploaded};
use runtime_core::object::Objects;
use runtime_core::queue::{ArtifactContent, ArtifactRequest, ArtifactResponse, Queue};
use runtime_core::{ApiError, BoxError, Run, TaskId, error_chain};

use super::deliver::declare_error;
use super::digests::Digests;
use crate::client::Client;
use crate::transport::retries::Retries;

impl Client {
    /// Declares an object artifact. Returns `None` if an earlier upload has completed it.
    ///
    /// The queue answers every further declaration of a name with a 500, so a declaration is repeated only if no earlier
    /// one had an effect.
    pub(super) async fn declare_object(
        &self,
        run: &Run,
        name: &str,
        request: &ArtifactRequest,
    ) -> Result<Option<DeclaredObject>, UploadError> {
        let mut retries = Retries::new(self.transport.settings.retry);
        loop {
            retries.begin_attempt();
            let error = match self.create_artifact(run, name, request).await {
                Ok(response) => {
                    let declared = self.declared(response);
                    return declared
                        .map(Some)
                        .map_err(|error| declare_error(name, error));
                }
                Err(error) => error,
            };
            if !error.is_transient() {
                return Err(declare_error(name, error));
            }
            match self.find_object(run, name).await? {
                ObjectState::Complete => return Ok(None),
                // Only the lost answer had the upload id, and without that no bytes can be sent.
                ObjectState::Declared => {
                    let name = name.to_owned();
                    return Err(UploadError::UploadLost {
                        name,
                        source: error,
                    });
                }
                ObjectState::Undeclared if retries.wait(None).await => {
                    let error = error_chain(&error);
                    tracing::warn!(artifact = name, error, "declaration failed, retrying");
                }
                ObjectState::Undeclared => return Err(declare_error(name, error)),
            }
        }
    }

    fn declared(&self, response: ArtifactResponse) -> Result<DeclaredObject, ApiError> {
        match response {
            ArtifactResponse::Object {
                name,
                project_id,
                upload_id,
                credentials,
                ..
            } => Ok(DeclaredObject {
                client: self.with_object_credentials(&credentials),
                name,
                project_id,
                upload_id,
            }),
            _ => {
                let problem = "the storage type differs from the requested one";
                Err(unexpected_response("queue.createArtifact", problem))
            }
        }
    }

    /// Returns the state of an object artifact. Listings and downloads do not show one that is not complete, so this
    /// finishes it with a wrong upload id, which changes nothing.
    async fn find_object(&self, run: &Run, name: &str) -> Result<ObjectState, UploadError> {
        let wrong_upload_id = TaskId::random();
        let finished = self
            .finish_artifact(run, name, wrong_upload_id.as_str())
            .await;
        match finished {
            Ok(()) => Ok(ObjectState::Complete),
            Err(error) if error.is_not_found() => Ok(ObjectState::Undeclared),
            Err(error) if error.status() == Some(400) => Ok(ObjectState::Declared),
            Err(error) => Err(declare_error(name, error)),
        }
    }

    /// Fails unless the complete object has these digests.
    pub(super) async fn check_same_object(
        &self,
        run: &Run,
        name: &str,
        digests: Digests,
    ) -> Result<Uploaded, UploadError> {
        let stored = self.stored_hashes(run, name).await;
        let stored = stored.map_err(|error| declare_error(name, error))?;
        let is_same = |algorithm, digest| stored.get(algorithm) == Some(digest);
        if is_same("sha256", &digests.sha256) && is_same("sha512", &digests.sha512) {
            Ok(digests.into())
        } else {
            let name = name.to_owned();
            Err(UploadError::ObjectExists { name })
        }
    }

    async fn stored_hashes(
        &self,
        run: &Run,
        name: &str,
    ) -> Result<BTreeMap<String, String>, ApiError> {
        let content = self.artifact(&run.task_id, Some(run.run_id), name).await?;
        let ArtifactContent::Object { name, credentials } = content else {
            let problem = "the artifact is not an object";
            return Err(unexpected_response("queue.artifact", problem));
        };
        let download = self.start_download(&name, Some(&credentials)).await?;
        Ok(download.hashes)
    }
}

/// The effect of an earlier declaration of an object artifact.
enum ObjectState {
    Undeclared,
    /// The queue has declared it, and its upload id is unknown.
    Declared,
    /// Readers see it.
    Complete,
}

/// The response of the queue to the declaration of an object artifact.
pub(super) struct DeclaredObject {
    /// Uses the credentials for this object.
    pub(super) client: Client,
    pub(super) name: String,
    pub(super) project_id: String,
    pub(super) upload_id: String,
}

pub(super) fn unexpected_response(method: &'static str, source: impl Into<BoxError>) -> ApiError {
    ApiError::Unexpected {
        method,
        source: source.into(),
    }
}
