//! The identity of a machine on Google Cloud.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use url::form_urlencoded::byte_serialize;

use super::error::IdentityError;
use super::machine::{MachineIdentity, StoredValues};
use super::metadata::Metadata;

const INSTANCE: &str = "/computeMetadata/v1/instance";

pub(super) async fn identify(service: &Metadata) -> Result<MachineIdentity, IdentityError> {
    // The service refuses requests without this header.
    let flavor = HeaderName::from_static("metadata-flavor");
    let headers = HeaderMap::from_iter([(flavor, HeaderValue::from_static("Google"))]);
    let attribute = format!("{INSTANCE}/attributes/taskcluster");
    let stored = StoredValues::parse(&attribute, &service.get(&attribute, &headers).await?)?;
    let id = service.get(&format!("{INSTANCE}/id"), &headers).await?;
    let audience: String = byte_serialize(stored.root_url.as_bytes()).collect();
    let token =
        format!("{INSTANCE}/service-accounts/default/identity?audience={audience}&format=full");
    let token = service.get(&token, &headers).await?;
    Ok(stored.into_identity(id.trim(), json!({ "token": token.trim() })))
}
