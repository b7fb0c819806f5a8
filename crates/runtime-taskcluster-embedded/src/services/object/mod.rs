//! The object service: uploads and downloads of objects by the method that suits both sides.

mod objects;
mod schemas;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};

pub(crate) use self::objects::Objects;

use super::s3::sign::{Grant, PUBLIC};
use super::s3::store::Blob;
use crate::call::{Call, Reply};
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::shared::Shared;
use crate::time::{after, before, millis};

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("object", "createUpload"),
        ("PUT", "/upload/<name>"),
        Work::Now(create_upload),
    )
    .takes(&schemas::CREATE_UPLOAD),
    Method::new(
        ("object", "finishUpload"),
        ("POST", "/finish-upload/<name>"),
        Work::Now(finish_upload),
    )
    .takes(&schemas::FINISH_UPLOAD),
    Method::new(
        ("object", "startDownload"),
        ("PUT", "/start-download/<name>"),
        Work::Now(start_download),
    )
    .takes(&schemas::START_DOWNLOAD),
    Method::new(
        ("object", "object"),
        ("GET", "/metadata/<name>"),
        Work::Now(metadata),
    ),
    Method::new(
        ("object", "download"),
        ("GET", "/download/<name>"),
        Work::Now(download),
    ),
];

/// How long URLs for uploads are good.
const UPLOAD: Duration = Duration::from_secs(45 * 60);
/// How long a URL of `getUrl` is good.
const GET_URL: Duration = Duration::from_secs(60);
/// How long a URL of `simple` is good.
const SIMPLE: Duration = Duration::from_secs(30 * 60);

fn key(name: &str) -> String {
    format!("{PUBLIC}/{name}")
}

fn require_upload(call: &Call) -> Result<(), RequestError> {
    call.require_scope(format!(
        "object:upload:{}:{}",
        call.text("projectId"),
        call.param("name")
    ))
}

fn create_upload(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_upload(call)?;
    let name = call.param("name");
    shared.update(|state| state.objects.start(name, call))?;
    let proposed = &call.payload["proposedUploadMethods"];
    let method = match (proposed.get("dataInline"), proposed.get("putUrl")) {
        (Some(inline), _) => {
            store_inline(shared, name, inline)?;
            json!({ "dataInline": true })
        }
        (None, Some(put_url)) => json!({ "putUrl": put_url_answer(shared, call, put_url) }),
        (None, None) => json!({}),
    };
    Reply::json(&json!({
        "projectId": call.payload["projectId"],
        "uploadId": call.payload["uploadId"],
        "expires": millis(call.instant("expires")),
        "uploadMethod": method,
    }))
}

fn store_inline(shared: &Shared, name: &str, inline: &Value) -> Result<(), RequestError> {
    let data = STANDARD.decode(inline["objectData"].as_str().unwrap_or_default());
    let data = data.map_err(|_| RequestError::input("objectData is not base64"))?;
    let blob = Blob {
        path: shared.new_file(),
        len: data.len() as u64,
        content_type: inline["contentType"].as_str().map(str::to_owned),
        content_encoding: None,
    };
    // At most 8 KiB: writing them takes no time that anybody would notice.
    std::fs::write(&blob.path, &data).map_err(|error| RequestError::input(error.to_string()))?;
    drop(shared.update(|state| state.store.put(key(name), blob)));
    Ok(())
}

fn put_url_answer(shared: &Shared, call: &Call, wanted: &Value) -> Value {
    let expires = match call.quirks.expired_urls {
        false => after(call.now, UPLOAD),
        true => before(call.now, UPLOAD),
    };
    let length = wanted["contentLength"].to_string();
    let content_type = wanted["contentType"].as_str().unwrap_or_default();
    let grant = Grant {
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
    json!({ "url": grant.url(shared), "expires": millis(expires), "headers": headers })
}

fn finish_upload(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_upload(call)?;
    shared.update(|state| state.objects.finish(call.param("name"), call))?;
    Reply::json(&json!({}))
}

fn require_download(shared: &Shared, call: &Call) -> Result<(), RequestError> {
    let name = call.param("name");
    call.require_scope(format!("object:download:{name}"))?;
    shared.read(|state| state.objects.finished(name).map(|_| ()))
}

fn start_download(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_download(shared, call)?;
    let name = call.param("name");
    let accepted = |method: &str| call.payload["acceptDownloadMethods"][method] == json!(true);
    if accepted("getUrl") {
        let expires = match call.quirks.expired_urls {
            false => after(call.now, GET_URL),
            true => before(call.now, GET_URL),
        };
        let hashes = shared.read(|state| {
            state
                .objects
                .finished(name)
                .map(|object| object.hashes.clone())
        })?;
        return Reply::json(&json!({
            "method": "getUrl",
            "url": Grant::download(&key(name), expires).url(shared),
            "expires": millis(expires),
            "hashes": hashes,
        }));
    }
    if accepted("simple") {
        let url = Grant::download(&key(name), after(call.now, SIMPLE)).url(shared);
        return Reply::json(&json!({ "method": "simple", "url": url }));
    }
    Err(RequestError::input(
        "no method that the server has is acceptable",
    ))
}

fn metadata(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_download(shared, call)?;
    let body = shared.read(|state| {
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

fn download(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_download(shared, call)?;
    let url = Grant::download(&key(call.param("name")), after(call.now, SIMPLE)).url(shared);
    let reply = Reply::json(&json!({ "url": url }))?;
    Ok(reply
        .with_status(StatusCode::SEE_OTHER)
        .with_header(LOCATION, &url))
}
