//! The identity of a machine on AWS.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::json;

use super::error::IdentityError;
use super::machine::{MachineIdentity, StoredValues};
use super::metadata::Metadata;

const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const TOKEN_TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
/// Longer than the requests here take.
const TOKEN_TTL_SECONDS: HeaderValue = HeaderValue::from_static("300");

const TOKEN_PATH: &str = "/latest/api/token";
const USER_DATA: &str = "/latest/user-data";
const DOCUMENT: &str = "/latest/dynamic/instance-identity/document";
const SIGNATURE: &str = "/latest/dynamic/instance-identity/signature";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    instance_id: String,
}

pub(super) async fn identify(service: &Metadata) -> Result<MachineIdentity, IdentityError> {
    let malformed = |path: &str, problem: String| IdentityError::Malformed {
        path: path.to_owned(),
        problem,
    };
    let ttl = HeaderMap::from_iter([(TOKEN_TTL, TOKEN_TTL_SECONDS)]);
    let token = service.request(Method::PUT, TOKEN_PATH, &ttl).await?;
    let mut token = HeaderValue::from_str(token.trim())
        .map_err(|_| malformed(TOKEN_PATH, "not a header value".to_owned()))?;
    token.set_sensitive(true);
    let headers = HeaderMap::from_iter([(TOKEN, token)]);
    let stored = StoredValues::parse(USER_DATA, &service.get(USER_DATA, &headers).await?)?;
    // Byte for byte, since it is signed.
    let document = service.get(DOCUMENT, &headers).await?;
    let parsed: Document =
        serde_json::from_str(&document).map_err(|error| malformed(DOCUMENT, error.to_string()))?;
    let signature = service.get(SIGNATURE, &headers).await?;
    let proof = json!({ "document": document, "signature": signature.trim() });
    Ok(stored.into_identity(&parsed.instance_id, proof))
}
