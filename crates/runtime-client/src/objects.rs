//! The object service over HTTP.

use async_trait::async_trait;
use http::Method;
use runtime_core::object::{ObjectDownload, Objects};
use runtime_core::{ApiError, Credentials, CredentialsWatch};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::transport::call::{Call, path};

#[async_trait]
impl Objects for Client {
    async fn start_download(
        &self,
        name: &str,
        credentials: Option<&Credentials>,
    ) -> Result<ObjectDownload, ApiError> {
        let path = path("object", ["start-download", name]);
        let body = json!({ "acceptDownloadMethods": { "getUrl": true } });
        let call = Call::with_json("object.startDownload", Method::PUT, path, &body)?;
        match credentials {
            Some(credentials) => self.with_object_credentials(credentials).call(call).await,
            None => self.call(call).await,
        }
    }
}

/// Uploads of objects, for the artifact uploader.
impl Client {
    /// Returns a client with the credentials for one object.
    pub(crate) fn with_object_credentials(&self, credentials: &Credentials) -> Self {
        self.with_credentials(CredentialsWatch::fixed(Some(credentials.clone())))
    }

    /// Negotiates the upload method of an object. A repeated call returns a new URL.
    pub(crate) async fn create_upload(
        &self,
        name: &str,
        upload: &CreateUpload<'_>,
    ) -> Result<UploadMethod, ApiError> {
        let path = path("object", ["upload", name]);
        let call = Call::with_json("object.createUpload", Method::PUT, path, upload)?;
        let response: CreateUploadResponse = self.call(call).await?;
        Ok(response.upload_method)
    }

    /// Completes an upload: the object becomes readable, and its hashes final.
    pub(crate) async fn finish_upload(
        &self,
        name: &str,
        upload: &FinishUpload<'_>,
    ) -> Result<(), ApiError> {
        let path = path("object", ["finish-upload", name]);
        let call = Call::with_json("object.finishUpload", Method::POST, path, upload)?;
        self.call_no_content(call).await
    }
}

/// The body of `createUpload`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateUpload<'a> {
    pub(crate) project_id: &'a str,
    pub(crate) upload_id: &'a str,
    pub(crate) expires: jiff::Timestamp,
    pub(crate) proposed_upload_methods: ProposedMethods<'a>,
}

/// The upload methods that the client supports.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProposedMethods<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_inline: Option<DataInline<'a>>,
    pub(crate) put_url: PutUrl<'a>,
}

/// The bytes as part of the request, for small objects.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DataInline<'a> {
    pub(crate) content_type: &'a str,
    /// The bytes in Base64.
    pub(crate) object_data: String,
}

/// A `PUT` request to a URL.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutUrl<'a> {
    pub(crate) content_type: &'a str,
    pub(crate) content_length: u64,
}

/// The body of `finishUpload`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FinishUpload<'a> {
    pub(crate) project_id: &'a str,
    pub(crate) upload_id: &'a str,
    pub(crate) hashes: Hashes<'a>,
}

#[derive(Serialize)]
pub(crate) struct Hashes<'a> {
    pub(crate) sha256: &'a str,
    pub(crate) sha512: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateUploadResponse {
    upload_method: UploadMethod,
}

/// The upload method that the service chose. Empty if it supports none of the proposed ones.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadMethod {
    /// Whether the service stored the bytes from the request.
    #[serde(default)]
    pub(crate) data_inline: bool,
    pub(crate) put_url: Option<PutUrlResponse>,
}

/// The URL and headers of a `PUT` request.
#[derive(Deserialize)]
pub(crate) struct PutUrlResponse {
    pub(crate) url: SecretString,
    pub(crate) headers: std::collections::BTreeMap<String, String>,
}
