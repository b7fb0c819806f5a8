//! What stands in references: parsing with reasons, and schemas.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::InvalidReference;

/// Reads a reference of one kind.
pub(super) fn parse<T: DeserializeOwned>(
    kind: &'static str,
    reference: &Value,
) -> Result<T, InvalidReference> {
    if !reference.is_object() {
        return Err(InvalidReference::new(kind, "it is not an object"));
    }
    T::deserialize(reference).map_err(|error| InvalidReference::new(kind, error.to_string()))
}

/// The schema of a reference of one kind.
pub(super) fn schema<T: JsonSchema>() -> Value {
    let mut schema = schema_for!(T);
    // It becomes a part of a larger schema, which says the dialect.
    schema.remove("$schema");
    schema.to_value()
}

/// An `http` or `https` URL with a host, without a fragment.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct HttpUrl(pub(super) Url);

impl TryFrom<String> for HttpUrl {
    type Error = String;

    /// The text stays out of the errors: it may hold a password.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut url =
            Url::parse(&text).map_err(|error| format!("the URL is not valid: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(format!(
                "the URL has the scheme `{scheme}`, and only http and https are fetched"
            ));
        }
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl JsonSchema for HttpUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "HttpUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "uri", "pattern": "^[hH][tT][tT][pP][sS]?:" })
    }
}
