//! The configuration that worker-runner writes for a worker.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

/// The configuration that worker-runner writes for a worker, as its driver for generic-worker does.
///
/// It is one JSON object. Worker-runner sets the identity and the credentials of the worker, and merges the `workerConfig` of
/// its own file, of the registration and of the pool's secret into the same object.
///
/// ```
/// # use runtime_worker::worker_runner::RunnerConfig;
/// # use serde_json::json;
/// let config = RunnerConfig::parse(json!({
///     "rootURL": "https://tc.example.com",
///     "provisionerId": "proj",
///     "workerType": "linux",
///     "workerGroup": "us-east",
///     "workerId": "i-1",
///     "workerLocation": "{}",
///     "configFile": "/etc/my-worker.yml",
///     "engine": { "greeting": "Hi" },
/// }), &["engine"]).expect("an object");
/// assert_eq!(config.identity["taskQueueId"], "proj/linux");
/// assert_eq!(config.sections, json!({ "engine": { "greeting": "Hi" } }));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct RunnerConfig {
    /// Root URL, task queue, group, id and credentials, with the keys of a `WorkerConfig`.
    pub identity: Value,
    /// The sections of the worker's own configuration.
    pub sections: Value,
    /// The key `configFile`: the configuration file of the worker.
    pub config_file: Option<PathBuf>,
}

impl RunnerConfig {
    /// Takes the configuration apart. `sections` are the names of the worker's own sections. Other keys, which are those of
    /// generic-worker, are ignored. Returns `None` for a value other than an object.
    #[must_use]
    pub fn parse(config: Value, sections: &[&str]) -> Option<Self> {
        let Value::Object(mut config) = config else {
            return None;
        };
        let own = sections.iter().filter_map(|section| {
            let value = config.remove(*section)?;
            Some(((*section).to_owned(), value))
        });
        let own = Value::Object(own.collect());
        let config_file = config.get("configFile").and_then(Value::as_str);
        Some(Self {
            config_file: config_file.map(PathBuf::from),
            identity: identity(&config),
            sections: own,
        })
    }
}

fn identity(config: &Map<String, Value>) -> Value {
    let text = |key: &str| config.get(key).and_then(Value::as_str);
    let task_queue_id = text("provisionerId").zip(text("workerType"));
    let task_queue_id = task_queue_id.map(|(provisioner, kind)| format!("{provisioner}/{kind}"));
    let credentials = text("clientId").zip(text("accessToken"));
    let credentials = credentials.map(|(client_id, access_token)| {
        json!({
            "clientId": client_id,
            "accessToken": access_token,
            // Worker-runner writes an empty one for credentials that are not temporary.
            "certificate": text("certificate").filter(|it| !it.is_empty()),
        })
    });
    let mut identity = json!({
        "rootUrl": text("rootURL"),
        "taskQueueId": task_queue_id,
        "workerGroup": text("workerGroup"),
        "workerId": text("workerId"),
        "credentials": credentials,
    });
    if let Value::Object(identity) = &mut identity {
        identity.retain(|_, value| !value.is_null());
    }
    identity
}

/// Omits the values, which contain credentials.
impl std::fmt::Debug for RunnerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunnerConfig")
            .field("config_file", &self.config_file)
            .finish_non_exhaustive()
    }
}
