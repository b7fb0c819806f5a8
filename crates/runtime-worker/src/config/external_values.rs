//! Values from outside of a configuration: environment variables, files and secrets.

use std::collections::BTreeMap;
use std::env::VarError;
use std::fmt;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use runtime_core::Secret;
use serde_json::{Map, Number, Value};

use crate::problem::{Origins, Problem, escape, path_of};

/// The maximum size of one value in bytes.
const MAX_VALUE_SIZE: usize = 64 << 10;

/// The maximum size of all values together in bytes.
const MAX_TOTAL_SIZE: usize = 1 << 20;

/// Returns the value of an environment variable.
pub(super) type ReadVariable = dyn Fn(&str) -> Result<String, VarError> + Send + Sync;

/// A reference to a value, in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConfigReference {
    Variable(String),
    File(String),
    Secret { name: String, key: Option<String> },
}

impl ConfigReference {
    /// Returns the reference that a map consists of, or an error text if the map is only similar to one.
    fn of(map: &Map<String, Value>) -> Option<Result<Self, String>> {
        let kind = ["$env", "$file", "$secret"]
            .into_iter()
            .find(|kind| map.contains_key(*kind))?;
        let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
        let key = text("$key");
        let is_allowed = |name: &str| name == kind || (name == "$key" && kind == "$secret");
        if !map.keys().all(|name| is_allowed(name)) || (map.contains_key("$key") && key.is_none()) {
            let expected = match kind {
                "$secret" => "`$secret` and `$key`, both texts",
                other => &format!("`{other}`"),
            };
            return Some(Err(format!("expected a map of {expected} only")));
        }
        Some(match (kind, text(kind)) {
            (_, None) => Err(format!("`{kind}` needs a text")),
            ("$env", Some(name)) => Ok(Self::Variable(name)),
            ("$file", Some(path)) => Ok(Self::File(path)),
            (_, Some(name)) => Ok(Self::Secret { name, key }),
        })
    }

    /// Returns whether a map is a reference, or meant to be one.
    pub(super) fn is_in(map: &Map<String, Value>) -> bool {
        Self::of(map).is_some()
    }
}

/// The source of a value, for error messages.
impl fmt::Display for ConfigReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the variable `{name}`"),
            Self::File(path) => write!(f, "the file `{path}`"),
            Self::Secret { name, .. } => write!(f, "the secret `{name}`"),
        }
    }
}

/// Returns all references in a value with their JSON pointers.
pub(super) fn references(value: &Value) -> Vec<(String, ConfigReference)> {
    let mut found = Vec::new();
    visit(&mut value.clone(), "", &mut |pointer, _, reference| {
        found.extend(reference.ok().map(|it| (pointer.to_owned(), it)));
    });
    found
}

/// Calls `each` with every map that is a reference, or similar to one.
fn visit(
    value: &mut Value,
    pointer: &str,
    each: &mut impl FnMut(&str, &mut Value, Result<ConfigReference, String>),
) {
    if let Some(reference) = value.as_object().and_then(ConfigReference::of) {
        return each(pointer, value, reference);
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                visit(value, &format!("{pointer}/{}", escape(key)), each);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter_mut().enumerate() {
                visit(value, &format!("{pointer}/{index}"), each);
            }
        }
        _ => {}
    }
}

/// Calls `each` with every value that is neither a map nor a list, and with empty ones.
pub(super) fn visit_leaves(value: &Value, pointer: &str, each: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(map) if !map.is_empty() => map.iter().for_each(|(key, value)| {
            visit_leaves(value, &format!("{pointer}/{}", escape(key)), each)
        }),
        Value::Array(list) if !list.is_empty() => list
            .iter()
            .enumerate()
            .for_each(|(index, value)| visit_leaves(value, &format!("{pointer}/{index}"), each)),
        leaf => each(pointer, leaf),
    }
}

/// The sources of values.
pub(super) struct ValueSources<'a> {
    pub(super) variable: &'a ReadVariable,
    /// The folder of relative paths.
    pub(super) folder: &'a Path,
    /// The fetched secrets, each the text of a JSON object.
    pub(super) secrets: &'a BTreeMap<String, Secret>,
}

/// A configuration with its values from outside.
pub(super) struct ResolvedConfig {
    pub(super) value: Value,
    /// The source of each value, by its JSON pointer.
    pub(super) origins: Origins,
    /// The JSON pointers of the texts from outside.
    pub(super) texts: Vec<String>,
    pub(super) problems: Vec<Problem>,
    pub(super) hidden: Vec<HiddenValue>,
}

impl ResolvedConfig {
    pub(super) fn without_references(value: Value) -> Self {
        Self {
            value,
            origins: Origins::new(),
            texts: Vec::new(),
            problems: Vec::new(),
            hidden: Vec::new(),
        }
    }

    /// Records the source of each part of a value.
    fn record(&mut self, pointer: &str, value: &Value, source: &ConfigReference) {
        let is_secret = matches!(source, ConfigReference::Secret { .. });
        let is_hidden = is_secret || matches!(source, ConfigReference::File(_));
        visit_leaves(value, pointer, &mut |pointer, leaf| {
            self.origins.insert(pointer.to_owned(), source.to_string());
            if is_hidden {
                let text = leaf
                    .as_str()
                    .map_or_else(|| leaf.to_string(), str::to_owned);
                self.hidden.push(HiddenValue {
                    pointer: pointer.to_owned(),
                    value: Secret::new(text),
                    is_secret,
                });
            }
        });
    }
}

/// A text, number or boolean of a file or secret.
pub(super) struct HiddenValue {
    pub(super) pointer: String,
    pub(super) value: Secret,
    /// Whether it is that of a secret, and not of a file, which may contain anything.
    pub(super) is_secret: bool,
}

/// The minimum length of a value that is hidden at other keys, unless a text equals it: as in logs, in bytes.
const MIN_REPEATED_LEN: usize = 6;

impl HiddenValue {
    /// Returns whether a text at another key shows the value.
    pub(super) fn is_in_text(&self, text: &str) -> bool {
        let value = self.value.expose();
        // Not a part that is the value of a file, such as a path, from which others are derived.
        let shows_part = || self.is_secret && value.len() >= MIN_REPEATED_LEN;
        value == text || shows_part() && text.contains(value)
    }

    /// Returns whether a number at another key is the value. Short numbers are equal by coincidence.
    pub(super) fn is_number(&self, number: &Number) -> bool {
        let number = number.to_string();
        // The type of a key may have added it.
        let digits = |text| str::strip_suffix(text, ".0").unwrap_or(text);
        let (number, value) = (digits(&number), digits(self.value.expose()));
        number.len() >= MIN_REPEATED_LEN && number == value
    }
}

impl ValueSources<'_> {
    /// Replaces all references by their values. One that cannot be resolved stays and is a problem.
    pub(super) fn resolve(&self, mut value: Value) -> ResolvedConfig {
        let mut resolved = ResolvedConfig::without_references(Value::Null);
        let mut total = 0;
        visit(&mut value, "", &mut |pointer, place, reference| {
            let read = reference.and_then(|reference| {
                let (value, size) = self.read(&reference)?;
                total += size;
                if total > MAX_TOTAL_SIZE {
                    return Err(format!(
                        "the values from outside are larger than {} MiB together",
                        MAX_TOTAL_SIZE >> 20
                    ));
                }
                Ok((reference, value))
            });
            match read {
                Ok((reference, value)) => {
                    resolved.record(pointer, &value, &reference);
                    if value.is_string() {
                        resolved.texts.push(pointer.to_owned());
                    }
                    *place = value;
                }
                Err(text) => resolved.problems.push(Problem {
                    pointer: pointer.to_owned(),
                    text: format!("`{}`: {text}", path_of(pointer)),
                }),
            }
        });
        ResolvedConfig { value, ..resolved }
    }

    /// Returns the value and its size in bytes.
    fn read(&self, reference: &ConfigReference) -> Result<(Value, usize), String> {
        let value = match reference {
            ConfigReference::Variable(name) => self.read_variable(name).map(Value::String),
            ConfigReference::File(path) => self.read_file(path).map(Value::String),
            ConfigReference::Secret { name, key } => self.read_secret(name, key.as_deref()),
        };
        let value = value.map_err(|problem| format!("{reference} {problem}"))?;
        let size = match &value {
            Value::Null => 0,
            Value::String(text) => text.len(),
            other => other.to_string().len(),
        };
        if size == 0 {
            return Err(format!("{reference} is empty; set its value"));
        }
        if size > MAX_VALUE_SIZE {
            let limit = MAX_VALUE_SIZE >> 10;
            return Err(format!("{reference} has more than {limit} KiB"));
        }
        Ok((value, size))
    }

    fn read_variable(&self, name: &str) -> Result<String, String> {
        match (self.variable)(name) {
            Ok(value) => Ok(value),
            Err(VarError::NotPresent) => {
                Err("is not set; set it in the environment of the worker".to_owned())
            }
            // Without the error, which contains the value.
            Err(VarError::NotUnicode(_)) => Err("is not UTF-8; encode its value".to_owned()),
        }
    }

    /// Reads a file without its last line break, which editors and `echo` add.
    fn read_file(&self, path: &str) -> Result<String, String> {
        let path = self.folder.join(path);
        let unreadable = |error| format!("cannot be read: {error}; correct its path or its owner");
        let metadata = fs::metadata(&path).map_err(unreadable)?;
        // A named pipe could block, and a device has no end.
        if !metadata.is_file() {
            return Err("is not a regular file; correct its path".to_owned());
        }
        let mut text = String::new();
        // One byte more than is accepted, so that a file that is too large can be recognized.
        let mut limited = File::open(&path)
            .map_err(unreadable)?
            .take(MAX_VALUE_SIZE as u64 + 1);
        limited.read_to_string(&mut text).map_err(unreadable)?;
        let trimmed = text.strip_suffix('\n').unwrap_or(&text);
        Ok(trimmed.strip_suffix('\r').unwrap_or(trimmed).to_owned())
    }

    /// Returns a value of a secret, which is an object: that of the key, or the only one.
    fn read_secret(&self, name: &str, key: Option<&str>) -> Result<Value, String> {
        let Some(text) = self.secrets.get(name) else {
            return Err(
                "is not available here: secrets are fetched with the worker's credentials; \
                 use `$env` or `$file` for these"
                    .to_owned(),
            );
        };
        // Without the error of the parser, which quotes the text.
        let Ok(Value::Object(mut values)) = serde_json::from_str(text.expose()) else {
            return Err("is not a JSON object; store it as one".to_owned());
        };
        match key {
            Some(key) => values
                .remove(key)
                .ok_or_else(|| format!("has no key `{key}`; add it, or correct `$key`")),
            None if values.len() == 1 => Ok(values.into_values().next().unwrap_or_default()),
            None => {
                let count = values.len();
                Err(format!("has {count} keys; select one of them with `$key`"))
            }
        }
    }
}
