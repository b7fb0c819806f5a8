//! The state file: credentials and the secret of the next registration.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use runtime_core::Credentials;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::services::worker_manager::RegisterResponse;

/// The content of a state file.
pub(super) struct StoredRegistration {
    /// Without an expiry: requests signed with expired credentials would wait for others.
    pub(super) credentials: Credentials,
    pub(super) secret: SecretString,
    /// The configuration of the worker pool, which only the first registration returns.
    pub(super) worker_config: Option<Value>,
}

/// Writes the state file, which only the current user may read.
///
/// The content is written to a new file that replaces the old one by a rename, so that a crash leaves either of them.
pub(super) fn write(
    file: &Path,
    registration: &RegisterResponse,
    worker_config: Option<&Value>,
) -> io::Result<()> {
    // Providers without renewal return no secret, and then there is nothing to resume with.
    let Some(secret) = &registration.secret else {
        return Ok(());
    };
    let mut content = to_json(registration, secret);
    content["workerConfig"] = json!(worker_config);
    let text = content.to_string();
    // In the same folder, since a rename does not work across file systems.
    let new_file = file.with_extension("new");
    // `create_new` below, after a removal: a file that already exists may have other permissions or be open elsewhere.
    match fs::remove_file(&new_file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open_file = options.open(&new_file)?;
    open_file.write_all(text.as_bytes())?;
    // Otherwise the rename could reach the disk before the content, and a power failure would leave an empty file.
    open_file.sync_all()?;
    fs::rename(&new_file, file)
}

fn to_json(registration: &RegisterResponse, secret: &SecretString) -> Value {
    let Credentials {
        client_id,
        access_token,
        certificate,
        ..
    } = &registration.credentials;
    json!({
        "clientId": client_id,
        "accessToken": access_token.expose_secret(),
        "certificate": certificate.as_ref().map(ExposeSecret::expose_secret),
        "expires": registration.expires,
        "secret": secret.expose_secret(),
    })
}

/// Reads a state file. Returns `None` if it is missing or damaged: the worker then registers anew.
pub(super) fn read(file: &Path) -> Option<StoredRegistration> {
    let mut json: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    let secret = SecretString::from(json["secret"].as_str()?);
    let worker_config = Some(json["workerConfig"].take()).filter(|it| !it.is_null());
    let mut credentials: Credentials = serde_json::from_value(json).ok()?;
    credentials.expires = None;
    Some(StoredRegistration {
        credentials,
        secret,
        worker_config,
    })
}
