//! The environment variables of Taskcluster's clients.

use runtime_core::Credentials;
use runtime_taskcluster_embedded::Taskcluster;

/// Returns the credentials in environment variables, as Taskcluster's own tools read them.
///
/// # Errors
///
/// The name of a missing variable.
pub fn environment_credentials() -> Result<Credentials, &'static str> {
    let read = |name: &'static str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        value.ok_or(name)
    };
    let client_id = read("TASKCLUSTER_CLIENT_ID")?;
    let credentials = Credentials::new(client_id, read("TASKCLUSTER_ACCESS_TOKEN")?);
    Ok(match read("TASKCLUSTER_CERTIFICATE") {
        Ok(certificate) => credentials.with_certificate(certificate),
        Err(_) => credentials,
    })
}

/// Returns lines for a shell that export the variables of clients with all scopes.
#[must_use]
pub fn client_variables(taskcluster: &Taskcluster) -> String {
    let credentials = taskcluster.credentials();
    format!(
        "export TASKCLUSTER_ROOT_URL={}\n\
         export TASKCLUSTER_CLIENT_ID={}\n\
         export TASKCLUSTER_ACCESS_TOKEN={}",
        taskcluster.root_url(),
        credentials.client_id,
        credentials.secrets().next().unwrap_or_default(),
    )
}
