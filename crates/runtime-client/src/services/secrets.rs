//! The secrets service.

use http::Method;
use jiff::Timestamp;
use runtime_core::ApiError;
use runtime_core::clock::deserialize_timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::transport::call::{Call, path};

/// A secret of the secrets service. `Debug` does not show its value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredSecret {
    /// A JSON object as text. Errors of a JSON parser may quote parts of it.
    pub value: SecretString,
    /// The time at which the service deletes it.
    pub expires: Timestamp,
}

/// The secrets service.
impl Client {
    /// Returns a secret.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; [`is_not_found`](ApiError::is_not_found) if it does not exist.
    ///
    /// # Cancel safety
    ///
    /// Safe: the call has no effect.
    pub async fn secret(&self, name: &str) -> Result<StoredSecret, ApiError> {
        let response: SecretResponse = self
            .call(Call::get("secrets.get", path("secrets", ["secret", name])))
            .await?;
        let value = SecretString::from(String::from(Box::<str>::from(response.secret)));
        Ok(StoredSecret {
            value,
            expires: response.expires,
        })
    }

    /// Creates or replaces a secret, whose value is a JSON object.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// The secret may or may not be stored. The same request can be repeated.
    pub async fn set_secret(
        &self,
        name: &str,
        value: &Map<String, Value>,
        expires: Timestamp,
    ) -> Result<(), ApiError> {
        let body = json!({ "secret": value, "expires": expires.to_string() });
        let path = path("secrets", ["secret", name]);
        let call = Call::with_json("secrets.set", Method::PUT, path, &body)?;
        self.call::<IgnoredAny>(call).await.map(drop)
    }
}

#[derive(Deserialize)]
struct SecretResponse {
    secret: Box<RawValue>,
    #[serde(deserialize_with = "deserialize_timestamp")]
    expires: Timestamp,
}
