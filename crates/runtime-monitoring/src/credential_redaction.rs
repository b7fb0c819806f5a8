//! Adds the worker's credentials to a redactor whenever they change.

use runtime_core::{Credentials, CredentialsWatch};
use runtime_ioext::log::Redactor;
use tokio::task::JoinHandle;

/// Keeps a redactor up to date with credentials until dropped. Returned by [`redact_credentials`].
#[derive(Debug)]
#[must_use = "dropping it stops the updates"]
pub struct CredentialRedaction(JoinHandle<()>);

/// Redacts the secrets of the current credentials and of all later ones.
///
/// Intended for the worker's own credentials, which change a few times a day. Earlier secrets stay in the redactor: a log
/// line may still contain them. The credentials of a task are redacted in its log by its `TaskContext`.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn redact_credentials(
    mut credentials: CredentialsWatch,
    redactor: Redactor,
) -> CredentialRedaction {
    // Before the task is spawned: nothing may be logged with the current secrets in it once this function has returned.
    add_secrets(credentials.snapshot(), &redactor);
    CredentialRedaction(tokio::spawn(async move {
        while credentials.changed().await {
            add_secrets(credentials.snapshot(), &redactor);
        }
    }))
}

fn add_secrets(credentials: Option<Credentials>, redactor: &Redactor) {
    // The redactor rejects short secrets, because those would match ordinary text. Taskcluster's are long enough.
    let _ = redactor.add_all(credentials.iter().flat_map(Credentials::secrets));
}

impl Drop for CredentialRedaction {
    fn drop(&mut self) {
        self.0.abort();
    }
}
