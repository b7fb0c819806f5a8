//! The builder that a plugin receives.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::webhook::Handler;
use runtime_core::{MalformedPayloadError, TaskError};

use crate::engine::{FolderAccess, Sandbox, SandboxBuilder};

/// The variables that plugins have set.
pub(super) type PluginVariables = BTreeMap<String, PluginVariable>;

/// A variable that a plugin has set.
pub(super) struct PluginVariable {
    plugin: &'static str,
    /// `None` for the address of a proxy, which is unknown before the start.
    value: Option<String>,
}

/// Passes calls on to the builder of an engine, and refuses to set a variable that has another value.
///
/// In the loop of the worker, so that neither engines nor plugins have to name an owner.
pub(super) struct PluginSandboxBuilder<'a> {
    pub(super) builder: &'a mut dyn SandboxBuilder,
    pub(super) plugin: &'static str,
    pub(super) variables: &'a mut PluginVariables,
}

impl PluginSandboxBuilder<'_> {
    fn check(&self, name: &str, value: Option<&str>) -> Result<(), MalformedPayloadError> {
        let plugin = self.plugin;
        if let Some(payload) = self.builder.payload_env(name)
            && value != Some(payload)
        {
            return Err(MalformedPayloadError::new(format!(
                "the environment variable `{name}` is set by both the payload and the plugin `{plugin}`: remove it from \
                 the payload"
            )));
        }
        match self.variables.get(name) {
            // Equal values are no conflict. The addresses of two proxies are never equal.
            Some(set) if value.is_none() || set.value.as_deref() != value => {
                let first = set.plugin;
                Err(MalformedPayloadError::new(format!(
                    "the environment variable `{name}` is set by both the plugin `{first}` and the plugin `{plugin}`"
                )))
            }
            _ => Ok(()),
        }
    }

    fn record(&mut self, name: &str, value: Option<&str>) {
        let plugin = self.plugin;
        let value = value.map(str::to_owned);
        self.variables
            .insert(name.to_owned(), PluginVariable { plugin, value });
    }
}

#[async_trait]
impl SandboxBuilder for PluginSandboxBuilder<'_> {
    fn set_env(&mut self, name: &str, value: &str) -> Result<(), MalformedPayloadError> {
        self.check(name, Some(value))?;
        self.builder.set_env(name, value)?;
        self.record(name, Some(value));
        Ok(())
    }

    fn payload_env(&self, name: &str) -> Option<&str> {
        self.builder.payload_env(name)
    }

    fn attach_folder(
        &mut self,
        source: &Path,
        target: &str,
        access: FolderAccess,
    ) -> Result<(), MalformedPayloadError> {
        self.builder.attach_folder(source, target, access)
    }

    fn attach_copy(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        self.builder.attach_copy(source, target)
    }

    fn attach_proxy(
        &mut self,
        variable: &str,
        handler: Arc<dyn Handler>,
    ) -> Result<(), MalformedPayloadError> {
        self.check(variable, None)?;
        self.builder.attach_proxy(variable, handler)?;
        self.record(variable, None);
        Ok(())
    }

    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        Err(TaskError::other("only the worker starts a sandbox"))
    }
}
