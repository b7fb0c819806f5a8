//! Feeds a redactor with credentials as they are created.

use runtime_core::{Credentials, CredentialsWatch};
use runtime_ioext::log::Redactor;
use tokio::task::JoinHandle;

/// Adds credentials to a redactor each time that they change, until it is dropped. Made by [`redact_credentials`].
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct CredentialRedaction(JoinHandle<()>);

/// Hides the secrets of the credentials of now, at once, and of all that follow.
///
/// For the worker's own credentials, which change a few times a day: what was added stays. Those of a task are hidden in
/// its log by its context.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn redact_credentials(
    mut credentials: CredentialsWatch,
    redactor: Redactor,
) -> CredentialRedaction {
    hide(credentials.snapshot(), &redactor);
    CredentialRedaction(tokio::spawn(async move {
        while credentials.changed().await {
            hide(credentials.snapshot(), &redactor);
        }
    }))
}

fn hide(credentials: Option<Credentials>, redactor: &Redactor) {
    // Taskcluster's are long enough. What is refused would be found in everything.
    let _ = redactor.add_all(credentials.iter().flat_map(Credentials::secrets));
}

impl Drop for CredentialRedaction {
    fn drop(&mut self) {
        self.0.abort();
    }
}
