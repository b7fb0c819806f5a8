//! A configuration that consists of a file, layers and values from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::env::VarError;
use std::fmt;
use std::path::{Path, PathBuf};

use runtime_core::Secret;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::external_values::{
    ConfigReference, HiddenValue, ReadVariable, ResolvedConfig, ValueSources, references,
};
use super::format::Format;
use super::layer_problems::{Layer, hide_secret_layers, with_places};
use super::load::{self, CheckedKeys, ConfigError, MAX_SIZE};
use super::merge::merge;
use super::print::{REDACTED, render};
use crate::problem::{Problem, path_of};

/// Reads a configuration file. Its extension decides the format.
///
/// # Errors
///
/// A [`ConfigError`] with the file name and all problems, each with its line, the path of its key, the value and an
/// example. Secrets are not shown. At most 50 problems are described, and at most ten unknown keys of a map. Files of more than 1 MiB, or with more than 64 nested lists and maps, are rejected.
///
/// References to values from outside are not resolved: see [`ConfigDocument`].
pub fn load<T: DeserializeOwned + JsonSchema>(file: &Path) -> Result<T, ConfigError> {
    ConfigDocument::load(file)?.read()
}

/// Reads a configuration from a string.
///
/// # Errors
///
/// A [`ConfigError`] with all problems, as in [`load`], whose limits apply.
pub fn parse<T: DeserializeOwned + JsonSchema>(
    text: &str,
    format: Format,
) -> Result<T, ConfigError> {
    ConfigDocument::parse(text, format)?.read()
}

/// A configuration that consists of a file, layers and values from outside.
///
/// A value in the file can be replaced by a map that refers to it:
///
/// | map | value |
/// | --- | --- |
/// | `{ $env: NAME }` | the environment variable |
/// | `{ $file: PATH }` | the content of the file, without its last line break; relative to the folder of the configuration |
/// | `{ $secret: NAME, $key: KEY }` | the JSON value in a secret of Taskcluster's secrets service; without `$key`, the only one |
///
/// A text from outside becomes a number or a boolean where the schema expects one, and no text; it is then written as in JSON.
///
/// Values have at most 64 KiB each, 1 MiB together, and must not be empty. An error names the source of a value, but
/// never shows it.
///
/// Layers are merged as JSON merge patches (RFC 7396): maps are merged, null removes a key, and other values, such as
/// lists, replace those below. References are resolved after that. Layers may contain `$secret`, but not `$env` and
/// `$file`: their authors decide on the settings of the worker, but must not read the machine.
///
/// ```
/// use runtime_worker::config::{ConfigDocument, Format};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, Serialize, JsonSchema)]
/// struct Config {
///     user: String,
///     capacity: u8,
/// }
///
/// let mut document = ConfigDocument::parse("{ user: { $env: LOGIN }, capacity: 2 }", Format::Yaml)?
///     .variables(|name| match name {
///         "LOGIN" => Ok("me".to_owned()),
///         _ => Err(std::env::VarError::NotPresent),
///     });
/// document.add_layer("the settings of the pool", serde_json::json!({ "capacity": 4 }))?;
/// let config: Config = document.read()?;
/// assert_eq!((&*config.user, config.capacity), ("me", 4));
/// # Ok::<(), runtime_worker::config::ConfigError>(())
/// ```
pub struct ConfigDocument {
    text: String,
    format: Format,
    file: Option<PathBuf>,
    /// The lowest first. One of them is that of the file.
    layers: Vec<Layer>,
    /// `None` for a configuration without values from outside.
    variable: Option<Box<ReadVariable>>,
    secrets: BTreeMap<String, Secret>,
}

impl ConfigDocument {
    /// Reads a file. Its extension decides the format.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] if it cannot be read, is too large, or violates the syntax of its format.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let (text, format) = load::read_text(file)?;
        let mut document = Self::parse(&text, format).map_err(|error| error.in_file(file))?;
        document.file = Some(file.to_owned());
        Ok(document)
    }

    /// Reads a configuration from a string.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] if it is too large or violates the syntax of its format.
    pub fn parse(text: &str, format: Format) -> Result<Self, ConfigError> {
        load::check_size(text)?;
        let value = format
            .parse(text)
            .map_err(|source| ConfigError::Syntax { format, source })?;
        Ok(Self {
            text: text.to_owned(),
            format,
            file: None,
            layers: vec![Layer {
                name: None,
                value,
                is_secret: false,
            }],
            variable: None,
            secrets: BTreeMap::new(),
        })
    }

    /// Sets the function that reads environment variables, usually `|name| std::env::var(name)`, and resolves
    /// references. Without it, they are invalid values: a library does not read the environment unasked.
    #[must_use]
    pub fn variables(
        mut self,
        read: impl Fn(&str) -> Result<String, VarError> + Send + Sync + 'static,
    ) -> Self {
        self.variable = Some(Box::new(read));
        self
    }

    /// Returns the file of the configuration.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Adds a layer on top of the others. `name` describes it in error messages, such as
    /// ``the secret `worker-pool:proj/linux` ``.
    ///
    /// # Errors
    ///
    /// A [`ConfigError::Layer`] if the layer is larger than 1 MiB, contains `$env` or `$file`, or is not a map.
    pub fn add_layer(&mut self, name: &str, layer: Value) -> Result<(), ConfigError> {
        let layer = checked_layer(name, layer)?;
        self.layers.push(layer);
        Ok(())
    }

    /// Adds a layer as [`add_layer`](Self::add_layer) does. Errors do not quote its values.
    ///
    /// # Errors
    ///
    /// As for [`add_layer`](Self::add_layer).
    pub fn add_secret_layer(&mut self, name: &str, layer: Value) -> Result<(), ConfigError> {
        let layer = checked_layer(name, layer)?;
        self.layers.push(Layer {
            is_secret: true,
            ..layer
        });
        Ok(())
    }

    /// Adds a layer below the others, whose values are defaults.
    ///
    /// # Errors
    ///
    /// As for [`add_layer`](Self::add_layer).
    pub fn add_defaults(&mut self, name: &str, layer: Value) -> Result<(), ConfigError> {
        let layer = checked_layer(name, layer)?;
        self.layers.insert(0, layer);
        Ok(())
    }

    /// Returns the names of the secrets to which the layers refer, and that were not added.
    #[must_use]
    pub fn missing_secrets(&self) -> BTreeSet<String> {
        let references = references(&self.merged()).into_iter();
        let names = references.filter_map(|(_, reference)| match reference {
            ConfigReference::Secret { name, .. } => Some(name),
            ConfigReference::Variable(_) | ConfigReference::File(_) => None,
        });
        names
            .filter(|name| !self.secrets.contains_key(name))
            .collect()
    }

    /// Adds a secret: the text of a JSON object.
    pub fn add_secret(&mut self, name: impl Into<String>, value: impl Into<Secret>) {
        self.secrets.insert(name.into(), value.into());
    }

    /// Merges the layers, resolves the references, and deserializes the result.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] with all problems, as in [`load()`](super::load()). Values from outside are not shown.
    pub fn read<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, ConfigError> {
        self.deserialize(CheckedKeys::All)
    }

    /// Reads some of the keys, such as those that are needed to fetch layers and secrets, into a type without
    /// `deny_unknown_fields`. References elsewhere may be invalid, and secrets may be missing.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn read_part<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, ConfigError> {
        self.deserialize(CheckedKeys::Known)
    }

    /// Reports the mistakes that neither a layer nor a secret can mend: all problems, if there are others than missing keys and
    /// secrets.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn check<T: DeserializeOwned + JsonSchema>(&self) -> Result<(), ConfigError> {
        let resolved = self.resolve();
        let value = resolved.value.clone();
        let Err(problems) = load::deserialize_valid::<T>(resolved, CheckedKeys::All) else {
            return Ok(());
        };
        let is_mendable = |problem: &Problem| match value.pointer(&problem.pointer) {
            // The notice about further problems, which name no key, has a pointer that ends like this.
            None => !problem.pointer.ends_with('/'),
            Some(value) => value
                .as_object()
                .is_some_and(|it| it.contains_key("$secret")),
        };
        if problems.iter().all(is_mendable) {
            return Ok(());
        }
        Err(self.invalid(problems))
    }

    fn deserialize<T: DeserializeOwned + JsonSchema>(
        &self,
        keys: CheckedKeys,
    ) -> Result<T, ConfigError> {
        let read = load::deserialize_valid(self.resolve(), keys);
        read.map_err(|problems| self.invalid(problems))
    }

    fn invalid(&self, problems: Vec<Problem>) -> ConfigError {
        let problems = with_places(problems, &self.layers, (&self.text, self.format));
        let error = ConfigError::Invalid { problems };
        match &self.file {
            Some(file) => error.in_file(file),
            None => error,
        }
    }

    /// Returns the values of secrets in the configuration, for the redactor of a log.
    #[must_use]
    pub fn secret_values(&self) -> Vec<Secret> {
        let hidden = self.resolve().hidden.into_iter();
        let secrets = hidden.filter(|it| it.is_secret);
        secrets.map(|it| it.value).collect()
    }

    /// Renders a configuration that was read from this document, as [`redacted`](super::redacted()) does. Values of files and
    /// secrets are redacted, whatever the type of their key.
    ///
    /// Other keys with the same value are redacted as well: a text that equals it or contains a value of a secret with
    /// at least six bytes, and a number with at least six characters. Shorter numbers and booleans are redacted at
    /// their own key only, since equal values elsewhere are a coincidence.
    #[must_use]
    pub fn redacted<T: Serialize + JsonSchema>(&self, config: &T) -> String {
        // Fails only for maps with keys other than strings, which a parsed configuration cannot contain.
        let mut value = serde_json::to_value(config).unwrap_or_default();
        let hidden = self.resolve().hidden;
        for HiddenValue { pointer, .. } in &hidden {
            if let Some(value) = value.pointer_mut(pointer) {
                *value = REDACTED.into();
            }
        }
        // The type may have moved a value to another key, or the file may repeat it.
        hide(&mut value, &hidden);
        render::<T>(value)
    }

    fn merged(&self) -> Value {
        let mut layers = self.layers.iter();
        let lowest = layers.next().map(|layer| layer.value.clone());
        layers.fold(lowest.unwrap_or_default(), |mut merged, layer| {
            merge(&mut merged, &layer.value);
            merged
        })
    }

    fn resolve(&self) -> ResolvedConfig {
        let value = self.merged();
        let mut resolved = match &self.variable {
            Some(variable) => self.resolve_with(&**variable, value),
            None => ResolvedConfig::without_references(value),
        };
        hide_secret_layers(&self.layers, &mut resolved.origins);
        resolved
    }

    fn resolve_with(&self, variable: &ReadVariable, value: Value) -> ResolvedConfig {
        let folder = self.file.as_deref().and_then(Path::parent);
        let outside = ValueSources {
            variable,
            folder: folder.unwrap_or(Path::new("")),
            secrets: &self.secrets,
        };
        outside.resolve(value)
    }
}

fn checked_layer(name: &str, value: Value) -> Result<Layer, ConfigError> {
    let in_layer = |source| ConfigError::Layer {
        layer: name.to_owned(),
        source: Box::new(source),
    };
    let invalid = |problems| in_layer(ConfigError::Invalid { problems });
    if !value.is_object() {
        return Err(invalid(vec!["expected a map".to_owned()]));
    }
    if value.to_string().len() > MAX_SIZE {
        return Err(in_layer(ConfigError::TooLarge));
    }
    let references = references(&value).into_iter();
    let local = references.filter(|(_, it)| !matches!(it, ConfigReference::Secret { .. }));
    let problems = local.map(|(pointer, reference)| {
        let path = path_of(&pointer);
        format!("`{path}`: {reference} can be used in the configuration file only; use `$secret`")
    });
    let problems: Vec<_> = problems.collect();
    if !problems.is_empty() {
        return Err(invalid(problems));
    }
    Ok(Layer {
        name: Some(name.to_owned()),
        value,
        is_secret: false,
    })
}

/// Hides all values that repeat a hidden one.
fn hide(value: &mut Value, hidden: &[HiddenValue]) {
    match value {
        Value::String(text) if hidden.iter().any(|it| it.is_in_text(text)) => {
            REDACTED.clone_into(text);
        }
        Value::Number(number) if hidden.iter().any(|it| it.is_number(number)) => {
            *value = REDACTED.into();
        }
        Value::Object(map) => map.values_mut().for_each(|it| hide(it, hidden)),
        Value::Array(list) => list.iter_mut().for_each(|it| hide(it, hidden)),
        _ => {}
    }
}

/// Omits the values, which may be secrets.
impl fmt::Debug for ConfigDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigDocument")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}
