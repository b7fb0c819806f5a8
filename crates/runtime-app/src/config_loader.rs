//! The configuration with the section of the engine, whose type the program defines.

use std::marker::PhantomData;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use runtime_monitoring::MonitoringConfig;
use runtime_webhook::{LocalhostConfig, WebHookConfig};
use runtime_worker::IntoEngine;
use runtime_worker::config::{self, ConfigDocument, WorkerConfig};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Config;
use crate::parts::{AppParts, EngineFactory};

/// The settings of the worker.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(bound = "C: JsonSchema + Default + Serialize")]
struct FullConfig<C> {
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

    /// The port of the status page on 127.0.0.1; 0 selects a free one. By default, no page is served.
    status_port: Option<u16>,
}

fn default_web_hooks() -> WebHookConfig {
    WebHookConfig::Localhost(LocalhostConfig::default())
}

/// Separates the section of the engine from the others.
fn split<C>(read: FullConfig<C>, document: &ConfigDocument) -> (Config, C) {
    let config = Config {
        worker: read.worker,
        web_hooks: read.web_hooks,
        monitoring: read.monitoring,
        status_port: read.status_port,
        file: document.file().map(ToOwned::to_owned),
        secrets: document.secret_values(),
    };
    (config, read.engine)
}

/// Reads configurations, and creates the engine.
pub(crate) trait ConfigLoader: Send + Sync {
    /// Returns the JSON schema of the configuration.
    fn schema(&self) -> Value;

    /// Reports the mistakes of a configuration that no layer can correct.
    fn check(&self, document: &ConfigDocument) -> Result<()>;

    /// Reads a configuration. `web_hooks` replaces its section.
    fn load(
        &self,
        document: &ConfigDocument,
        web_hooks: Option<WebHookConfig>,
    ) -> Result<(Config, EngineFactory)>;

    /// Reads a configuration and renders its effective values, without secrets.
    fn print(&self, document: &ConfigDocument, web_hooks: Option<WebHookConfig>) -> Result<String>;
}

/// The section of the type `C`, from which a function creates an engine.
pub(crate) struct TypedConfigLoader<C, F> {
    create: Arc<F>,
    section: PhantomData<fn() -> C>,
}

impl<C, F> TypedConfigLoader<C, F> {
    pub(crate) fn new(create: F) -> Self {
        Self {
            create: Arc::new(create),
            section: PhantomData,
        }
    }
}

impl<C: DeserializeOwned + Serialize + JsonSchema + Default, F> TypedConfigLoader<C, F> {
    fn read(document: &ConfigDocument, web_hooks: Option<WebHookConfig>) -> Result<FullConfig<C>> {
        let mut read: FullConfig<C> = document.read()?;
        if let Some(web_hooks) = web_hooks {
            read.web_hooks = web_hooks;
        }
        read.worker.allow_local_deployment();
        Ok(read)
    }
}

impl<C, R, F> ConfigLoader for TypedConfigLoader<C, F>
where
    C: DeserializeOwned + Serialize + JsonSchema + Default + Send + 'static,
    R: IntoEngine + 'static,
    F: Fn(C, &AppParts<'_>) -> R + Send + Sync + 'static,
{
    fn schema(&self) -> Value {
        config::document_schema::<FullConfig<C>>()
    }

    fn check(&self, document: &ConfigDocument) -> Result<()> {
        document.check::<FullConfig<C>>()?;
        match document.read::<FullConfig<C>>() {
            Ok(read) => split(read, document).0.check(),
            // A layer can mend it.
            Err(_) => Ok(()),
        }
    }

    fn load(
        &self,
        document: &ConfigDocument,
        web_hooks: Option<WebHookConfig>,
    ) -> Result<(Config, EngineFactory)> {
        let (config, engine) = split(Self::read(document, web_hooks)?, document);
        config.check()?;
        let create = Arc::clone(&self.create);
        let factory: EngineFactory = Box::new(move |parts| {
            let engine = create(engine, parts).into_engine();
            let engine = engine.map_err(|error| anyhow!(error));
            Ok(Arc::new(engine.context("cannot create the engine")?))
        });
        Ok((config, factory))
    }

    fn print(&self, document: &ConfigDocument, web_hooks: Option<WebHookConfig>) -> Result<String> {
        Ok(document.redacted(&Self::read(document, web_hooks)?))
    }
}
