//! Content encodings. Hashes apply to the decoded bytes.

use std::io::Write as _;

use serde_json::json;
use sha2::Sha256;

use crate::support::{Server, Step, body, context, digest, get, get_reference};

/// Fetches an encoded body with the hash of its decoded bytes.
async fn check(encoding: &'static str, packed: Vec<u8>, plain: Vec<u8>) {
    let hash = digest::<Sha256>(&plain);
    let server =
        Server::start(move |_| Step::answer("200 OK", &[("Content-Encoding", encoding)], &packed))
            .await;
    let reference = json!({ "url": server.url("/"), "sha256": hash });
    let bytes = get_reference(&context(), reference).await.expect(encoding);
    assert!(bytes == plain, "{encoding}");
    let accepted = server.requests()[0]
        .header("accept-encoding")
        .map(str::to_owned);
    assert!(accepted.expect("header is sent").contains(encoding));
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory suffices");
    encoder.finish().expect("memory suffices")
}

#[tokio::test]
async fn all_gzip_members_are_decoded() {
    let plain = body(200_000);
    let packed = [gzip(&plain[..1000]), gzip(&plain[1000..])].concat();
    check("gzip", packed, plain).await;
}

#[cfg(feature = "zstd")]
#[tokio::test]
async fn all_zstd_frames_are_decoded() {
    let plain = body(200_000);
    let encode = |bytes| zstd::encode_all(bytes, 1).expect("memory suffices");
    let packed = [encode(&plain[..1000]), encode(&plain[1000..])].concat();
    check("zstd", packed, plain).await;
}

#[cfg(feature = "brotli")]
#[tokio::test]
async fn brotli_is_decoded() {
    use tokio::io::AsyncReadExt as _;
    let plain = body(200_000);
    let mut encoder = async_compression::tokio::bufread::BrotliEncoder::new(&plain[..]);
    let mut packed = Vec::new();
    encoder
        .read_to_end(&mut packed)
        .await
        .expect("memory suffices");
    check("br", packed, plain).await;
}

#[tokio::test]
async fn encoded_body_is_resumed() {
    let plain = body(100_000);
    let packed = gzip(&plain);
    let server = Server::start(move |request| {
        let total = packed.len();
        let headers = [("Content-Encoding", "gzip"), ("ETag", "\"z\"")];
        let Some(start) = request.range_start() else {
            let mut steps = Step::answer("200 OK", &headers, &packed);
            steps[1] = Step::Send(packed[..40_000].to_vec());
            steps.push(Step::Close);
            return steps;
        };
        let range = format!("bytes {start}-{}/{total}", total - 1);
        let headers = [headers[0], headers[1], ("Content-Range", range.as_str())];
        Step::answer("206 Partial Content", &headers, &packed[start..])
    })
    .await;
    let bytes = get(&context(), &server.url("/"))
        .await
        .expect("fetch succeeds");
    assert_eq!(bytes, plain);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn empty_encoded_body_is_fetched() {
    let server = Server::start(|_| Step::answer("200 OK", &[("Content-Encoding", "gzip")], b""));
    let server = server.await;
    let bytes = get(&context(), &server.url("/")).await;
    assert_eq!(bytes.expect("empty body is valid"), "");
}
