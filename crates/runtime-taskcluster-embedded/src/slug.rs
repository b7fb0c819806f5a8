//! Ids as Taskcluster makes them: a random UUID in 22 characters.

use runtime_core::TaskId;

/// A new id.
pub(super) fn slug() -> String {
    TaskId::random().as_str().to_owned()
}

/// Two ids in a row, as access tokens, seeds and secrets are made.
pub(super) fn token() -> String {
    slug() + &slug()
}

/// Tells whether a text is an id: 22 characters that decode to a UUID of version 4.
pub(super) fn is_slug(text: &str) -> bool {
    text.parse::<TaskId>().is_ok()
}
