//! The object service over HTTP.

use async_trait::async_trait;
use http::Method;
use runtime_core::object::{ObjectDownload, Objects};
use runtime_core::{ApiError, Credentials, CredentialsWatch};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Client;
use crate::transport::{Call, path};

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
            Some(credentials) => self.with_fixed(credentials).call(call).await,
            None => self.call(call).await,
        }
    }
}

/// The upload half of the object service, which only the uploader uses.
impl Client {
    /// A client with the credentials that came with an object.
    pub(crate) fn with_fixed(&self, credentials: &Credentials) -> Self {
        self.with_credentials(CredentialsWatch::fixed(Some(credentials.clone())))
    }

    /// Asks how the bytes of an object may be sent. Asking again gives fresh URLs.
    pub(crate) async fn create_upload(
        &self,
        name: &str,
        upload: &CreateUpload<'_>,
    ) -> Result<UploadMethod, ApiError> {
        let path = path("object", ["upload", name]);
        let call = Call::with_json("object.createUpload", Method::PUT, path, upload)?;
        let answer: UploadAnswer = self.call(call).await?;
        Ok(answer.upload_method)
    }

    /// Makes an object readable, and its hashes known for ever.
    pub(crate) async fn finish_upload(
        &self,
        name: &str,
        upload: &FinishUpload<'_>,
    ) -> Result<(), ApiError> {
        let path = path("object", ["finish-upload", name]);
        let call = Call::with_json("object.finishUpload", Method::POST, path, upload)?;
        self.call_for_effect(call).await
    }
}

/// The body of `createUpload`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateUpload<'a> {
    pub(crate) project_id: &'a str,
    pub(crate) upload_id: &'a str,
    pub(crate) expires: jiff::Timestamp,
    pub(crate) proposed_upload_methods: Proposal<'a>,
}

/// The methods that the client is ready for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Proposal<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_inline: Option<DataInline<'a>>,
    pub(crate) put_url: PutUrl<'a>,
}

/// The bytes within the request, for small objects.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DataInline<'a> {
    pub(crate) content_type: &'a str,
    /// Base64.
    pub(crate) object_data: String,
}

/// A URL to put the bytes to.
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
struct UploadAnswer {
    upload_method: UploadMethod,
}

/// What the service chose. Nothing, if it likes none of the proposals.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadMethod {
    /// It has taken the bytes.
    #[serde(default)]
    pub(crate) data_inline: bool,
    pub(crate) put_url: Option<PutTarget>,
}

/// Where to put the bytes, and with which headers.
#[derive(Deserialize)]
pub(crate) struct PutTarget {
    pub(crate) url: SecretString,
    pub(crate) headers: std::collections::BTreeMap<String, String>,
}
