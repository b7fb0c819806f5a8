//! Deserializes a configuration and collects all of its errors.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::problem::Problem;

/// The number of errors that are collected.
const MAX_ERRORS: usize = 50;

/// Deserializes a value that fits its schema.
///
/// Fails only for rules that the schema does not express, such as the syntax of addresses. serde stops at the first
/// error, so each invalid value is removed and the rest is tried again.
pub(super) fn deserialize<T: DeserializeOwned>(mut value: Value) -> Result<T, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut removed = RemovedElements::default();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(value.clone()) {
            Ok(config) if problems.is_empty() => return Ok(config),
            Ok(_) => return Err(problems),
            Err(error) => error,
        };
        let keys: Vec<_> = error.path().iter().filter_map(key).collect();
        let pointer = pointer(&keys);
        // A required value that was removed is missing now, which is not a problem of its own.
        if let Some(last) = problems.last().map(|it: &Problem| &it.pointer)
            && last.starts_with(&format!("{pointer}/"))
        {
            return Err(problems);
        }
        let original = removed.original_keys(&keys);
        let path = original.join(".");
        problems.push(Problem {
            pointer: self::pointer(&original),
            text: format!("`{path}`: {}", error.into_inner()),
        });
        if problems.len() == MAX_ERRORS || !remove(&mut value, &keys) {
            return Err(problems);
        }
        removed.add(original);
    }
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
    let escape = |key: &String| format!("/{}", key.replace('~', "~0").replace('/', "~1"));
    keys.iter().map(escape).collect()
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
