//! Slugids, the ids of Taskcluster: a random UUID in 22 characters.

use runtime_core::TaskId;

/// Returns a random slugid.
pub(crate) fn slugid() -> String {
    TaskId::random().as_str().to_owned()
}

/// Returns two random slugids in a row: the format of access tokens, seeds and secrets.
pub(crate) fn token() -> String {
    slugid() + &slugid()
}

/// Returns whether a text is a slugid: 22 characters that decode to a UUID of version 4.
pub(crate) fn is_slugid(text: &str) -> bool {
    text.parse::<TaskId>().is_ok()
}
