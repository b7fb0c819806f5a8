//! The identity of a machine on Azure.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::error::IdentityError;
use super::machine::{MachineIdentity, StoredValues};
use super::metadata::Metadata;

const INSTANCE: &str = "/metadata/instance?api-version=2025-04-07";
const ATTESTED: &str = "/metadata/attested/document?api-version=2025-04-07";

#[derive(Deserialize)]
struct Instance {
    compute: Compute,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Compute {
    name: String,
    #[serde(default)]
    tags_list: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct AttestedDocument {
    encoding: String,
    signature: String,
}

pub(super) async fn identify(service: &Metadata) -> Result<MachineIdentity, IdentityError> {
    // The service refuses requests without this header.
    let metadata = HeaderName::from_static("metadata");
    let headers = HeaderMap::from_iter([(metadata, HeaderValue::from_static("true"))]);
    let instance = service.get(INSTANCE, &headers).await?;
    let Instance { compute } =
        serde_json::from_str(&instance).map_err(|error| malformed(INSTANCE, error.to_string()))?;
    let tag = |name: &str| {
        let tag = compute.tags_list.iter().find(|tag| tag.name == name);
        let value = tag.map(|tag| tag.value.clone());
        value.ok_or_else(|| malformed(INSTANCE, format!("the tag `{name}` is missing")))
    };
    let stored = StoredValues {
        root_url: tag("root-url")?,
        provider_id: tag("provider-id")?,
        worker_pool_id: tag("worker-pool-id")?,
        worker_group: tag("worker-group")?,
    };
    let attested = service.get(ATTESTED, &headers).await?;
    // Without the error of the parser, which may quote the document.
    let attested: AttestedDocument = serde_json::from_str(&attested).map_err(|_| {
        let problem = "expected an object with `encoding` and `signature`".to_owned();
        malformed(ATTESTED, problem)
    })?;
    if attested.encoding != "pkcs7" {
        let problem = "the encoding is not `pkcs7`".to_owned();
        return Err(malformed(ATTESTED, problem));
    }
    let proof = json!({ "document": attested.signature });
    Ok(stored.into_identity(&compute.name, proof))
}

fn malformed(path: &str, problem: String) -> IdentityError {
    IdentityError::Malformed {
        path: path.to_owned(),
        problem,
    }
}
