//! The part of the configuration with which its layers and secrets are fetched.

use anyhow::{Context as _, Result, bail};
use runtime_client::WorkerName;
use runtime_client::identity::{CloudProvider, MachineIdentity};
use runtime_core::WorkerIdentity;
use runtime_worker::config::{
    ConfigDocument, CredentialsConfig, RegistrationConfig, ShutdownConfig, WorkerConfig,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::config_loader::ConfigLoader;

/// The identity of the worker, and the source of its credentials. Layers cannot change them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bootstrap {
    root_url: String,
    task_queue_id: String,
    worker_group: String,
    worker_id: String,
    pub(crate) credentials: Option<CredentialsConfig>,
    pub(crate) registration: Option<RegistrationConfig>,
    #[serde(default = "WorkerConfig::default_shutdown")]
    shutdown: Vec<ShutdownConfig>,
    /// The identity of a machine in a cloud.
    #[serde(skip)]
    pub(crate) machine: Option<MachineIdentity>,
}

#[derive(Deserialize, JsonSchema)]
struct WorkerSection<W> {
    worker: W,
}

#[derive(Deserialize, JsonSchema)]
struct Registration {
    registration: Option<RegistrationConfig>,
}

impl Bootstrap {
    /// The keys of `worker` that layers cannot change.
    pub(crate) const FIXED_KEYS: [&str; 6] = [
        "rootUrl",
        "taskQueueId",
        "workerGroup",
        "workerId",
        "credentials",
        "registration",
    ];

    /// Reads this part of the configuration, with the identity of a machine in a cloud as its defaults. Fails also for
    /// mistakes in other parts that no layer can correct.
    pub(crate) async fn read(
        document: &mut ConfigDocument,
        engine: &dyn ConfigLoader,
    ) -> Result<Self> {
        let registration = document.read_part::<WorkerSection<Registration>>();
        let registration = registration.ok().and_then(|it| it.worker.registration);
        let machine = match &registration {
            Some(registration) => identify(registration)
                .await
                .context("`worker.registration`")?,
            None => None,
        };
        if let Some(machine) = &machine {
            let worker = &machine.worker;
            let defaults = json!({
                "rootUrl": machine.root_url,
                "taskQueueId": worker.worker_pool_id,
                "workerGroup": worker.worker_group,
                "workerId": worker.worker_id,
            });
            let defaults = json!({ "worker": defaults });
            document.add_defaults("the metadata of the machine", defaults)?;
        }
        engine.check(document)?;
        let section: WorkerSection<Self> = document.read_part()?;
        Ok(Self {
            machine,
            ..section.worker
        })
    }

    pub(crate) fn identity(&self) -> WorkerIdentity {
        WorkerIdentity {
            root_url: self.root_url.trim_end_matches('/').to_owned(),
            task_queue_id: self.task_queue_id.clone(),
            worker_group: self.worker_group.clone(),
            worker_id: self.worker_id.clone(),
        }
    }

    pub(crate) fn worker_name(&self) -> WorkerName {
        self.identity().into()
    }

    pub(crate) fn has_shutdown_source(&self, source: ShutdownConfig) -> bool {
        self.shutdown.contains(&source)
    }

    pub(crate) fn is_by_worker_runner(&self) -> bool {
        self.has_shutdown_source(ShutdownConfig::WorkerRunner)
    }

    /// Returns whether the credentials are part of the configuration or of the environment. A worker that registers, or
    /// that worker-runner starts, receives them.
    pub(crate) fn needs_static_credentials(&self) -> bool {
        self.registration.is_none() && !self.is_by_worker_runner()
    }
}

/// Returns the identity of a machine in a cloud; `None` for a static worker.
async fn identify(registration: &RegistrationConfig) -> Result<Option<MachineIdentity>> {
    let (cloud, machine) = match registration {
        RegistrationConfig::Static(_) => return Ok(None),
        RegistrationConfig::Aws(machine) => (CloudProvider::Aws, machine),
        RegistrationConfig::Google(machine) => (CloudProvider::Google, machine),
        RegistrationConfig::Azure(machine) => (CloudProvider::Azure, machine),
        other => bail!("unsupported provider {other:?}"),
    };
    Ok(Some(match &machine.metadata_url {
        Some(url) => cloud.identify_at(url).await?,
        None => cloud.identify().await?,
    }))
}
