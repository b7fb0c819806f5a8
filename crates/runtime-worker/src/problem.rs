//! A problem of a payload or configuration, described for its author.

use std::collections::BTreeMap;

/// The descriptions of the sources of values that must not be shown, by their JSON pointers.
pub(crate) type Origins = BTreeMap<String, String>;

/// A problem of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The JSON pointer of the key, which may be missing, or of the list element.
    pub(crate) pointer: String,
    /// The description, with the path of the key.
    pub(crate) text: String,
}

/// Appends a key to the path of its object.
pub(crate) fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// Escapes a key for a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Returns the key of an escaped part of a JSON pointer.
#[cfg(feature = "config")]
pub(crate) fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

/// Returns the path of a JSON pointer, such as `timing.killTimeout`.
#[cfg(feature = "config")]
pub(crate) fn path_of(pointer: &str) -> String {
    let keys: Vec<_> = pointer.split('/').skip(1).map(unescape).collect();
    keys.join(".")
}
