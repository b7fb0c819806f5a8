//! Deserializes a configuration and collects all of its errors.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::problem::{Origins, Problem, escape, unescape};

/// The number of errors that are collected.
const MAX_ERRORS: usize = 50;

/// Deserializes a value, and adds to the violations of its schema those of rules that the schema does not express, such as
/// the syntax of addresses.
///
/// serde stops at the first error, so each invalid value is removed and the rest is tried again.
pub(super) fn deserialize<T: DeserializeOwned>(
    mut value: Value,
    mut problems: Vec<Problem>,
    origins: &Origins,
) -> Result<T, Vec<Problem>> {
    if problems.len() >= MAX_ERRORS {
        return Err(problems);
    }
    let mut removed = RemovedElements::default();
    for keys in removal_order(&problems) {
        if remove(&mut value, &keys) {
            removed.add(keys);
        }
    }
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(value.clone()) {
            Ok(config) if problems.is_empty() => return Ok(config),
            Ok(_) => return Err(problems),
            Err(error) => error,
        };
        let keys: Vec<_> = error.path().iter().filter_map(key).collect();
        let original = removed.original_keys(&keys);
        let (path, pointer) = (original.join("."), pointer(&original));
        let message = error.into_inner().to_string();
        // A required value that is missing, or was removed, is reported already, and so are unknown keys up to a limit.
        let parent = format!("{pointer}/");
        let is_reported = problems.iter().any(|it| it.pointer.starts_with(&parent));
        if is_reported || (!problems.is_empty() && message.starts_with("unknown field")) {
            return Err(problems);
        }
        let text = match origin(origins, &pointer) {
            Some(origin) => format!("`{path}`: invalid value of {origin}"),
            None => format!("`{path}`: {message}"),
        };
        problems.push(Problem { pointer, text });
        if problems.len() >= MAX_ERRORS || !remove(&mut value, &keys) {
            return Err(problems);
        }
        removed.add(original);
    }
}

/// Returns the source of the first value from outside that an error at this key may quote: of that key, or of one below it.
fn origin<'a>(origins: &'a Origins, pointer: &str) -> Option<&'a str> {
    let below = origins.iter().find(|(key, _)| {
        let rest = key.strip_prefix(pointer);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    below.map(|(_, origin)| origin.as_str())
}

/// Returns the keys of invalid values, each once. List elements are last and from the end, so that the indices of the others
/// stay valid.
fn removal_order(problems: &[Problem]) -> Vec<Vec<String>> {
    let pointers: BTreeSet<_> = problems.iter().map(|it| it.pointer.as_str()).collect();
    let keys = |pointer: &str| pointer.split('/').skip(1).map(unescape).collect();
    let mut all: Vec<Vec<String>> = pointers.into_iter().map(keys).collect();
    all.sort_by_key(|keys| {
        let index = keys.last().and_then(|key| key.parse::<usize>().ok());
        (index.is_some(), Reverse(index))
    });
    all
}

fn key(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        // No keys of the file.
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

fn pointer(keys: &[String]) -> String {
    keys.iter().map(|key| format!("/{}", escape(key))).collect()
}

fn remove(value: &mut Value, keys: &[String]) -> bool {
    let Some((last, parents)) = keys.split_last() else {
        return false;
    };
    match value.pointer_mut(&pointer(parents)) {
        Some(Value::Object(map)) => map.remove(last).is_some(),
        Some(Value::Array(list)) => match last.parse() {
            Ok(index) if index < list.len() => {
                list.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// The keys of removed values, which change the indices of the elements after them.
#[derive(Default)]
struct RemovedElements(Vec<Vec<String>>);

impl RemovedElements {
    fn add(&mut self, keys: Vec<String>) {
        self.0.push(keys);
        // In ascending order, so that `original_keys` counts each one at most once.
        self.0
            .sort_by_key(|keys| keys.last().and_then(|key| key.parse::<usize>().ok()));
    }

    /// Returns the keys in the configuration from which nothing was removed.
    fn original_keys(&self, keys: &[String]) -> Vec<String> {
        let mut original: Vec<String> = Vec::new();
        for key in keys {
            let key = match key.parse::<usize>() {
                Ok(index) => self.original_index(&original, index).to_string(),
                Err(_) => key.clone(),
            };
            original.push(key);
        }
        original
    }

    fn original_index(&self, parents: &[String], mut index: usize) -> usize {
        for keys in &self.0 {
            if let Some((last, of)) = keys.split_last()
                && of == parents
                && last.parse().is_ok_and(|removed: usize| removed <= index)
            {
                index += 1;
            }
        }
        index
    }
}
