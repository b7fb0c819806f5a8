//! The two traits: a [`Fetcher`] understands references of one kind, a [`Reference`] is one of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::TaskId;
use serde_json::Value;

use crate::{FetchContext, FetchError, HashKey, InvalidReference, RequiredScopes, Target};

/// Understands one kind of reference, as it stands in the payload of a task.
#[async_trait]
pub trait Fetcher: Send + Sync + fmt::Debug {
    /// What references of this kind are called in messages, such as `artifact`.
    fn name(&self) -> &'static str;

    /// The JSON schema of a reference.
    ///
    /// Object schemas name their `properties` and `required` keys and forbid all others:
    /// [`Combine`](crate::Combine) tells kinds apart by that.
    fn schema(&self) -> Value;

    /// Reports whether `reference` is of this kind, without asking anyone.
    ///
    /// # Errors
    ///
    /// What does not fit, in words for the author of the payload.
    fn check(&self, reference: &Value) -> Result<(), InvalidReference>;

    /// The task that a reference names, if it names one: a task should depend on those that it takes
    /// artifacts from, since they are there only when it has ended.
    fn referenced_task(&self, reference: &Value) -> Option<TaskId> {
        let _ = reference;
        None
    }

    /// Makes a reference to exact bytes: a name that may move is looked up here.
    ///
    /// # Errors
    ///
    /// [`FetchError::Invalid`] where [`check`](Self::check) fails, and any other error of a look-up.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    async fn resolve(
        &self,
        context: &FetchContext,
        reference: &Value,
    ) -> Result<Arc<dyn Reference>, FetchError>;
}

/// Something that can be fetched, any number of times.
#[async_trait]
pub trait Reference: Send + Sync + fmt::Debug {
    /// What is fetched, in words for a log: no secret, no query of a URL.
    fn subject(&self) -> String;

    /// A key for caches: equal only if the bytes and the checks on them are the same.
    fn hash_key(&self) -> HashKey;

    /// What a task needs to use a copy that somebody else fetched.
    ///
    /// [`fetch`](Self::fetch) does not look at it: the service that has the bytes does.
    fn scopes(&self) -> RequiredScopes;

    /// Brings the bytes into `target` and commits it once they are complete and verified.
    ///
    /// # Errors
    ///
    /// A [`FetchError`] that says whose fault it is. The target is then not committed.
    ///
    /// # Cancel safety
    ///
    /// Safe: dropping the future ends the transfer. The target is then not committed.
    async fn fetch(
        &self,
        context: &FetchContext,
        target: &mut dyn Target,
    ) -> Result<Fetched, FetchError>;
}

/// What a fetch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// How many bytes the target got.
    pub bytes: u64,
    /// How many attempts were made, of which each goes on where the last one broke if it can; 0 if the bytes
    /// were inline.
    pub attempts: u32,
    /// How long it took.
    pub elapsed: Duration,
}
