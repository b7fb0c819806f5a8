//! Tokens of clients: JSON web tokens with HS256 signatures.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// The start of a token's validity, in seconds before the current time, for servers whose clock is slow.
const CLOCK_LEEWAY: i64 = 900;

/// The key that signs and verifies tokens.
#[derive(Debug)]
pub(super) struct TokenKey {
    key: hmac::Key,
    audience: String,
}

/// The reason why a token is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    Malformed,
    Signature,
    Expired,
    WrongClient,
    WrongAudience,
}

impl TokenKey {
    pub(super) fn new(secret: &SecretString, audience: &str) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()),
            audience: audience.to_owned(),
        }
    }

    /// Signs a token that is valid from now on.
    pub(super) fn sign(&self, client_id: &str, expires: Timestamp) -> SecretString {
        let claims = json!({
            "tid": client_id,
            "sub": client_id,
            "aud": self.audience,
            "iss": "taskcluster-auth",
            "nbf": Timestamp::now().as_second() - CLOCK_LEEWAY,
            "exp": expires.as_second(),
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, signed.as_bytes()));
        format!("{signed}.{signature}").into()
    }

    /// Verifies the token of a client.
    pub(super) fn verify(&self, token: &str, client_id: &str) -> Result<(), TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let signature = decode(signature)?;
        hmac::verify(&self.key, signed.as_bytes(), &signature)
            .map_err(|_| TokenError::Signature)?;
        let (_, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let claims: Value =
            serde_json::from_slice(&decode(claims)?).map_err(|_| TokenError::Malformed)?;
        let now = Timestamp::now().as_second();
        let is_current = claims["nbf"].as_i64().is_none_or(|start| start <= now)
            && claims["exp"].as_i64().is_some_and(|expiry| now < expiry);
        if !is_current {
            Err(TokenError::Expired)
        } else if claims["tid"] != client_id {
            Err(TokenError::WrongClient)
        } else if claims["aud"] != self.audience {
            Err(TokenError::WrongAudience)
        } else {
            Ok(())
        }
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key() -> TokenKey {
        TokenKey::new(&SecretString::from("secret"), "here")
    }

    #[test]
    fn token_is_valid_for_one_client_until_expiry() {
        let later = Timestamp::now() + Duration::from_secs(60);
        let token = key().sign("a.b.1", later);
        assert_eq!(key().verify(token.expose_secret(), "a.b.1"), Ok(()));
        let other = key().verify(token.expose_secret(), "a.b.2");
        assert_eq!(other, Err(TokenError::WrongClient));
        let old = key().sign("a.b.1", Timestamp::now() - Duration::from_secs(1));
        assert_eq!(
            key().verify(old.expose_secret(), "a.b.1"),
            Err(TokenError::Expired)
        );
    }

    #[test]
    fn wrong_key_and_audience_are_rejected() {
        let later = Timestamp::now() + Duration::from_secs(60);
        let secret = SecretString::from("secret");
        let elsewhere = TokenKey::new(&secret, "elsewhere").sign("a", later);
        let result = key().verify(elsewhere.expose_secret(), "a");
        assert_eq!(result, Err(TokenError::WrongAudience));
        let forged = TokenKey::new(&SecretString::from("guess"), "here").sign("a", later);
        assert_eq!(
            key().verify(forged.expose_secret(), "a"),
            Err(TokenError::Signature)
        );
        assert_eq!(key().verify("nonsense", "a"), Err(TokenError::Malformed));
    }
}
