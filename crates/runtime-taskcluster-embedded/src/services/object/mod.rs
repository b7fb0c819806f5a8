//! The object service: uploads and downloads by the methods that client and server agree on.

mod schemas;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::s3::presign::{PUBLIC_BUCKET, PresignedUrl};
use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::error::RequestError;
use crate::method::Method;
use crate::state::blobs::Blob;
use crate::state::objects::Object;
use crate::time::{after, millis};

pub(super) const METHODS: &[Method] = &[
    Method::put("createUpload", "/upload/<name>", create_upload)
        .with_schema(&schemas::CREATE_UPLOAD),
    Method::post("finishUpload", "/finish-upload/<name>", finish_upload)
        .with_schema(&schemas::FINISH_UPLOAD),
    Method::put("startDownload", "/start-download/<name>", start_download)
        .with_schema(&schemas::START_DOWNLOAD),
    Method::get("object", "/metadata/<name>", metadata),
    Method::get("download", "/download/<name>", download),
];

/// The lifetime of an upload URL.
const UPLOAD_URL_LIFETIME: Duration = Duration::from_secs(45 * 60);
/// The lifetime of a URL for the download method `getUrl`.
const GET_URL_LIFETIME: Duration = Duration::from_secs(60);
/// The lifetime of a URL for the download method `simple`.
const SIMPLE_URL_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// Returns the key of an object in the S3-like store.
fn key(name: &str) -> String {
    format!("{PUBLIC_BUCKET}/{name}")
}

fn require_upload(call: &Call) -> Result<(), RequestError> {
    call.require_scope(format!(
        "object:upload:{}:{}",
        call.text("projectId"),
        call.param("name")
    ))
}

fn create_upload(context: &ServerContext, call: &Call) -> ApiResult {
    require_upload(call)?;
    let name = call.param("name");
    let (project_id, upload_id) = (call.text("projectId"), call.text("uploadId"));
    let upload = Object::new(project_id, upload_id, call.instant("expires"));
    context.update(|state| state.objects.start(name, &upload, &call.payload["hashes"]))?;
    let proposed = &call.payload["proposedUploadMethods"];
    // The server picks one of the proposed methods, and `dataInline` saves a request.
    let method = match (proposed.get("dataInline"), proposed.get("putUrl")) {
        (Some(inline), _) => {
            store_inline(context, name, inline)?;
            json!({ "dataInline": true })
        }
        (None, Some(put_url)) => json!({ "putUrl": put_url_method(context, call, put_url) }),
        (None, None) => json!({}),
    };
    Reply::json(&json!({
        "projectId": project_id,
        "uploadId": upload_id,
        "expires": millis(upload.expires),
        "uploadMethod": method,
    }))
}

fn store_inline(context: &ServerContext, name: &str, inline: &Value) -> Result<(), RequestError> {
    let data = STANDARD.decode(inline["objectData"].as_str().unwrap_or_default());
    let data = data.map_err(|_| RequestError::input("objectData is not base64"))?;
    let content_type = inline["contentType"].as_str().unwrap_or_default();
    let content_type = HeaderValue::try_from(content_type)
        .map_err(|_| RequestError::input("contentType is not a header value"))?;
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
    let mut blob = Blob::new(context.new_file(), data.len() as u64, &headers);
    // The schema limits the data to 8 KiB.
    let filled = context.fill(&mut blob, &data);
    filled.map_err(|error| RequestError::input(error.to_string()))?;
    context.put_blob(key(name), blob)
}

fn put_url_method(context: &ServerContext, call: &Call, requested: &Value) -> Value {
    let expires = call.url_expiry(UPLOAD_URL_LIFETIME);
    let length = requested["contentLength"].to_string();
    let content_type = requested["contentType"].as_str().unwrap_or_default();
    let put_url = PresignedUrl {
        verb: "PUT",
        key: &key(call.param("name")),
        expires,
        content_type: Some(content_type),
        content_length: Some(&length),
    };
    let headers = json!({
        "Content-Type": content_type,
        "Content-Length": length,
        "Content-Encoding": "identity",
    });
    json!({ "url": put_url.sign(context), "expires": millis(expires), "headers": headers })
}

fn finish_upload(context: &ServerContext, call: &Call) -> ApiResult {
    require_upload(call)?;
    let (project_id, upload_id) = (call.text("projectId"), call.text("uploadId"));
    let hashes = &call.payload["hashes"];
    context.update(|state| {
        let name = call.param("name");
        state.objects.finish(name, project_id, upload_id, hashes)
    })?;
    Reply::json(&json!({}))
}

fn require_download(context: &ServerContext, call: &Call) -> Result<(), RequestError> {
    let name = call.param("name");
    call.require_scope(format!("object:download:{name}"))?;
    context.read(|state| state.objects.finished(name).map(|_| ()))
}

fn start_download(context: &ServerContext, call: &Call) -> ApiResult {
    require_download(context, call)?;
    let name = call.param("name");
    let accepts = |method: &str| call.payload["acceptDownloadMethods"][method] == json!(true);
    if accepts("getUrl") {
        let expires = call.url_expiry(GET_URL_LIFETIME);
        let hashes = context.read(|state| {
            let object = state.objects.finished(name);
            object.map(|object| object.hashes.clone())
        })?;
        return Reply::json(&json!({
            "method": "getUrl",
            "url": PresignedUrl::download(&key(name), expires).sign(context),
            "expires": millis(expires),
            "hashes": hashes,
        }));
    }
    if accepts("simple") {
        return Reply::json(&json!({ "method": "simple", "url": simple_url(context, call) }));
    }
    Err(RequestError::input(
        "none of the accepted download methods is supported",
    ))
}

fn metadata(context: &ServerContext, call: &Call) -> ApiResult {
    require_download(context, call)?;
    let body = context.read(|state| {
        state.objects.finished(call.param("name")).map(|object| {
            json!({
                "projectId": object.project_id,
                "expires": millis(object.expires),
                "hashes": object.hashes,
            })
        })
    })?;
    Reply::json(&body)
}

fn download(context: &ServerContext, call: &Call) -> ApiResult {
    require_download(context, call)?;
    let url = simple_url(context, call);
    let reply = Reply::json(&json!({ "url": url }))?;
    Ok(reply
        .with_status(StatusCode::SEE_OTHER)
        .with_header(LOCATION, &url))
}

fn simple_url(context: &ServerContext, call: &Call) -> String {
    let expires = after(call.now, SIMPLE_URL_LIFETIME);
    PresignedUrl::download(&key(call.param("name")), expires).sign(context)
}
