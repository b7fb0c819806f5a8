//! Shared by all fetchers: parsing and validating a JSON reference, and its schema.

use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::TaskId;
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::FetchContext;
use crate::error::FetchError;
use crate::invalid_reference::InvalidReference;
use crate::reference::Reference;

/// A parsed reference of one kind. [`impl_fetcher`] makes a fetcher of it.
#[async_trait]
pub(super) trait JsonReference: DeserializeOwned + JsonSchema {
    /// The name of the kind in messages.
    const KIND: &'static str;

    /// Parses a reference. Overridden by kinds that are not always objects.
    fn parse(reference: &Value) -> Result<Self, InvalidReference> {
        // serde would also accept an array of the fields.
        if !reference.is_object() {
            return Err(InvalidReference::new(Self::KIND, "not an object"));
        }
        let parsed = Self::deserialize(reference)
            .map_err(|error| InvalidReference::new(Self::KIND, error.to_string()))?;
        parsed
            .validate()
            .map_err(|reason| InvalidReference::new(Self::KIND, reason))?;
        Ok(parsed)
    }

    /// Checks rules of the schema that the types of the fields do not express.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }

    /// Returns the JSON schema.
    fn schema() -> Value {
        schema_of::<Self>()
    }

    /// Returns the task that the reference names, if any.
    fn task(&self) -> Option<TaskId> {
        None
    }

    /// Resolves the reference to exact bytes.
    async fn resolve(self, context: &FetchContext) -> Result<Arc<dyn Reference>, FetchError>;
}

/// Implements [`Fetcher`](crate::Fetcher) for a fetcher of [`JsonReference`]s.
macro_rules! impl_fetcher {
    ($fetcher:ty, $reference:ty) => {
        #[async_trait::async_trait]
        impl crate::reference::Fetcher for $fetcher {
            fn name(&self) -> &'static str {
                <$reference>::KIND
            }

            fn key_namespace(&self) -> Option<&'static str> {
                None
            }

            fn schema(&self) -> serde_json::Value {
                <$reference>::schema()
            }

            fn check(
                &self,
                reference: &serde_json::Value,
            ) -> Result<(), crate::invalid_reference::InvalidReference> {
                <$reference>::parse(reference).map(drop)
            }

            fn referenced_task(
                &self,
                reference: &serde_json::Value,
            ) -> Option<runtime_core::TaskId> {
                <$reference>::parse(reference).ok()?.task()
            }

            async fn resolve(
                &self,
                context: &crate::context::FetchContext,
                reference: &serde_json::Value,
            ) -> Result<std::sync::Arc<dyn crate::reference::Reference>, crate::error::FetchError>
            {
                <$reference>::parse(reference)?.resolve(context).await
            }
        }
    };
}

pub(super) use impl_fetcher;

/// Returns the schema of a type, as part of a larger schema.
pub(super) fn schema_of<T: JsonSchema>() -> Value {
    let mut schema = schema_for!(T);
    // The enclosing schema names the dialect.
    schema.remove("$schema");
    schema.to_value()
}

/// Returns the violation for an empty string where the schema requires a name.
pub(super) fn require_non_empty(field: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("`{field}` is empty"));
    }
    Ok(())
}
