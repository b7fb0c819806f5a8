//! A problem of a payload or configuration, described for its author.

/// A problem of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The JSON pointer of the key or list element.
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
