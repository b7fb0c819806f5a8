//! Tokens of clients: JSON web tokens, signed with HS256.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// What signs and checks tokens.
#[derive(Debug)]
pub(super) struct TokenKey {
    key: hmac::Key,
    audience: String,
}

/// Why a token does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    Signature,
    Expired,
    OtherClient,
    OtherAudience,
}

impl TokenKey {
    pub(super) fn new(secret: &SecretString, audience: &str) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()),
            audience: audience.to_owned(),
        }
    }

    /// Signs a token that holds from now on.
    pub(super) fn sign(&self, client_id: &str, expires: Timestamp) -> SecretString {
        let claims = json!({
            "tid": client_id,
            "sub": client_id,
            "aud": self.audience,
            "iss": "taskcluster-auth",
            "nbf": Timestamp::now().as_second() - 900,
            "exp": expires.as_second(),
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, signed.as_bytes()));
        format!("{signed}.{signature}").into()
    }

    /// Checks a token of a client.
    pub(super) fn check(&self, token: &str, client_id: &str) -> Result<(), Refusal> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let signature = decode(signature)?;
        hmac::verify(&self.key, signed.as_bytes(), &signature).map_err(|_| Refusal::Signature)?;
        let (_, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let claims: Value =
            serde_json::from_slice(&decode(claims)?).map_err(|_| Refusal::Malformed)?;
        let now = Timestamp::now().as_second();
        let holds = claims["nbf"].as_i64().is_none_or(|from| from <= now)
            && claims["exp"].as_i64().is_some_and(|to| now < to);
        match () {
            () if !holds => Err(Refusal::Expired),
            () if claims["tid"] != client_id => Err(Refusal::OtherClient),
            () if claims["aud"] != self.audience => Err(Refusal::OtherAudience),
            () => Ok(()),
        }
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key() -> TokenKey {
        TokenKey::new(&SecretString::from("secret"), "here")
    }

    #[test]
    fn a_token_holds_for_its_client_until_it_expires() {
        let later = Timestamp::now() + Duration::from_secs(60);
        let token = key().sign("a.b.1", later);
        assert_eq!(key().check(token.expose_secret(), "a.b.1"), Ok(()));
        let other = key().check(token.expose_secret(), "a.b.2");
        assert_eq!(other, Err(Refusal::OtherClient));
        let old = key().sign("a.b.1", Timestamp::now() - Duration::from_secs(1));
        assert_eq!(
            key().check(old.expose_secret(), "a.b.1"),
            Err(Refusal::Expired)
        );
    }

    #[test]
    fn another_key_or_audience_does_not_hold() {
        let later = Timestamp::now() + Duration::from_secs(60);
        let secret = SecretString::from("secret");
        let elsewhere = TokenKey::new(&secret, "elsewhere").sign("a", later);
        let check = key().check(elsewhere.expose_secret(), "a");
        assert_eq!(check, Err(Refusal::OtherAudience));
        let forged = TokenKey::new(&SecretString::from("guess"), "here").sign("a", later);
        assert_eq!(
            key().check(forged.expose_secret(), "a"),
            Err(Refusal::Signature)
        );
        assert_eq!(key().check("nonsense", "a"), Err(Refusal::Malformed));
    }
}
