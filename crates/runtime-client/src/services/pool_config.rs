//! The settings of a worker in its pool: those of the registration, and those in the secret of the pool.

use runtime_core::ApiError;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use crate::client::Client;

/// Settings of a pool that a worker cannot use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolConfigError {
    /// The settings are not an object.
    #[error("{place} is not a JSON object; correct it")]
    NoObject {
        /// The settings, such as ``the secret `worker-pool:proj/linux` ``.
        place: String,
    },

    /// The settings contain files, which worker-runner would write.
    #[error(
        "{place} contains `files`, which only worker-runner writes; put them into the image of the machine, or start the worker by worker-runner"
    )]
    Files {
        /// The settings.
        place: String,
    },

    /// The secret could not be fetched.
    #[error("cannot fetch {place}")]
    Fetch {
        /// The secret.
        place: String,
        /// The error of the service.
        source: Box<ApiError>,
    },
}

/// Returns the settings for a program, such as `my-worker`, in the `workerConfig` of a registration.
///
/// It has the form `{"myWorker": {"config": …}}`, as for worker-runner, or is the settings themselves.
///
/// # Errors
///
/// A [`PoolConfigError`] if the settings are not an object, or contain files.
pub fn worker_config_for(
    program: &str,
    mut worker_config: Value,
) -> Result<Value, PoolConfigError> {
    let place = "the `workerConfig` of the worker pool";
    match worker_config.get_mut(camel_case(program)) {
        Some(section @ Value::Object(_)) => unwrap_config(section.take(), place),
        _ => unwrap_config(worker_config, place),
    }
}

fn camel_case(name: &str) -> String {
    let mut parts = name.split(['-', '_']).filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let (initial, rest) = part.split_at(part.chars().next().map_or(0, char::len_utf8));
        name + &initial.to_uppercase() + rest
    })
}

impl Client {
    /// Returns the settings in the secret `worker-pool:<worker pool>`, or `None` if there is none or the credentials lack
    /// the scope to read it.
    ///
    /// It has the form `{"config": …}`, as for worker-runner, or is the settings themselves.
    ///
    /// # Errors
    ///
    /// A [`PoolConfigError`] without parts of the secret.
    ///
    /// # Cancel safety
    ///
    /// Safe: the call has no effect.
    pub async fn pool_secret(
        &self,
        worker_pool_id: &str,
    ) -> Result<Option<Value>, PoolConfigError> {
        let name = format!("worker-pool:{worker_pool_id}");
        let place = format!("the secret `{name}`");
        let secret = match self.secret(&name).await {
            Ok(secret) => secret,
            Err(error) if error.is_not_found() || error.status() == Some(403) => return Ok(None),
            Err(error) => {
                let source = Box::new(error);
                return Err(PoolConfigError::Fetch { place, source });
            }
        };
        // Without the error of the parser, which quotes the text.
        let value = serde_json::from_str(secret.value.expose_secret()).unwrap_or_default();
        unwrap_config(value, &place).map(Some)
    }
}

/// Returns the part `config` of an object that has only the keys `config` and `files`, and otherwise the object.
fn unwrap_config(value: Value, place: &str) -> Result<Value, PoolConfigError> {
    let place = || place.to_owned();
    let Value::Object(mut map) = value else {
        return Err(PoolConfigError::NoObject { place: place() });
    };
    let is_wrapped =
        map.contains_key("config") && map.keys().all(|it| it == "config" || it == "files");
    if !is_wrapped {
        return Ok(Value::Object(map));
    }
    if has_files(&map) {
        return Err(PoolConfigError::Files { place: place() });
    }
    match map.remove("config") {
        Some(config @ Value::Object(_)) => Ok(config),
        _ => Err(PoolConfigError::NoObject { place: place() }),
    }
}

fn has_files(map: &Map<String, Value>) -> bool {
    let files = map.get("files").and_then(Value::as_array);
    files.is_some_and(|files| !files.is_empty())
}
