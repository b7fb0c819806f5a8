//! The configuration with the section of the engine, whose type only the program knows.

use std::marker::PhantomData;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use runtime_monitoring::MonitoringConfig;
use runtime_webhook::{LocalhostConfig, WebHookConfig};
use runtime_worker::Engine;
use runtime_worker::config::{self, Format, WorkerConfig};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Config, ConfigSource};
use crate::parts::{AppParts, EngineFactory};

/// The settings of the worker.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(bound = "C: JsonSchema + Default + Serialize")]
struct FileConfig<C> {
    /// The identity, limits and behaviour of the worker.
    worker: WorkerConfig,

    /// The engine that runs tasks.
    #[serde(default)]
    engine: C,

    /// The provider for live logs. The default serves them on this machine only.
    #[serde(default = "default_web_hooks")]
    web_hooks: WebHookConfig,

    /// Logs, metrics and error reports.
    #[serde(default)]
    monitoring: MonitoringConfig,

    /// The port of the status page on 127.0.0.1; 0 selects a free one. By default there is no page.
    status_port: Option<u16>,
}

fn default_web_hooks() -> WebHookConfig {
    WebHookConfig::Localhost(LocalhostConfig::default())
}

/// Reads configurations, and creates the engine.
pub(crate) trait EngineSection: Send + Sync {
    /// Returns the JSON schema of the configuration.
    fn schema(&self) -> Value;

    /// Reads a configuration.
    fn load(&self, source: &ConfigSource) -> Result<(Config, EngineFactory)>;

    /// Reads a configuration and renders its effective values, without secrets.
    fn print(&self, source: &ConfigSource) -> Result<String>;
}

/// The section of the type `C`, from which a function creates an engine.
pub(crate) struct TypedSection<C, F> {
    create: Arc<F>,
    section: PhantomData<fn() -> C>,
}

impl<C, F> TypedSection<C, F> {
    pub(crate) fn new(create: F) -> Self {
        Self {
            create: Arc::new(create),
            section: PhantomData,
        }
    }
}

impl<C: DeserializeOwned + Serialize + JsonSchema + Default, F> TypedSection<C, F> {
    fn read(source: &ConfigSource) -> Result<FileConfig<C>> {
        let mut read: FileConfig<C> = match source {
            ConfigSource::File(file) => config::load(file)?,
            ConfigSource::Arguments { document, .. } => {
                config::parse(&document.to_string(), Format::Json)?
            }
        };
        if let ConfigSource::Arguments {
            web_hooks: Some(file),
            ..
        } = source
        {
            read.web_hooks = config::load(file).context("--web-hooks")?;
        }
        Config::allow_local_deployment(&mut read.worker);
        Ok(read)
    }
}

impl<C, E, F> EngineSection for TypedSection<C, F>
where
    C: DeserializeOwned + Serialize + JsonSchema + Default + Send + 'static,
    E: Engine + 'static,
    F: Fn(C, &AppParts<'_>) -> E + Send + Sync + 'static,
{
    fn schema(&self) -> Value {
        config::schema::<FileConfig<C>>()
    }

    fn load(&self, source: &ConfigSource) -> Result<(Config, EngineFactory)> {
        let FileConfig {
            worker,
            engine,
            web_hooks,
            monitoring,
            status_port,
        } = Self::read(source)?;
        let config = Config {
            worker,
            web_hooks,
            monitoring,
            status_port,
            file: source.file().map(ToOwned::to_owned),
        };
        config.check()?;
        let create = Arc::clone(&self.create);
        let factory: EngineFactory = Box::new(move |parts| Arc::new(create(engine, parts)));
        Ok((config, factory))
    }

    fn print(&self, source: &ConfigSource) -> Result<String> {
        Ok(config::redacted(&Self::read(source)?))
    }
}
