//! The secrets service.

use jiff::Timestamp;
use runtime_core::ApiError;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Client;
use crate::transport::{Call, path};

/// A secret, which `Debug` does not show.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredSecret {
    /// The text of a JSON object. Mind that errors of a parser may quote it.
    pub value: SecretString,
    /// When it is forgotten.
    pub expires: Timestamp,
}

/// The secrets service.
impl Client {
    /// Reads a secret.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; [`is_not_found`](ApiError::is_not_found) if there is none.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    pub async fn secret(&self, name: &str) -> Result<StoredSecret, ApiError> {
        let answer: Answer = self
            .call(Call::get("secrets.get", path("secrets", ["secret", name])))
            .await?;
        let value = SecretString::from(String::from(Box::<str>::from(answer.secret)));
        Ok(StoredSecret {
            value,
            expires: answer.expires,
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    secret: Box<RawValue>,
    expires: Timestamp,
}
