//! Content encodings. Hashes apply to the decoded bytes.

use std::io::Write as _;

use bytes::Bytes;
use runtime_core::error_chain;
use runtime_fetcher::FetchError;
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
async fn brotli(bytes: &[u8]) -> Vec<u8> {
    use tokio::io::AsyncReadExt as _;
    let mut encoder = async_compression::tokio::bufread::BrotliEncoder::new(bytes);
    let mut packed = Vec::new();
    let result = encoder.read_to_end(&mut packed).await;
    result.expect("memory suffices");
    packed
}

#[cfg(feature = "brotli")]
#[tokio::test]
async fn brotli_is_decoded() {
    let plain = body(200_000);
    check("br", brotli(&plain).await, plain).await;
}

#[cfg(feature = "brotli")]
#[tokio::test]
async fn brotli_output_exceeds_input() {
    // Some 4000 bytes of output for each byte of input, so that one read of the input fills many buffers.
    let plain = vec![7; 1_000_000];
    check("br", brotli(&plain).await, plain).await;
}

#[cfg(feature = "brotli")]
#[tokio::test]
async fn invalid_brotli_is_an_error() {
    let packed = brotli(&body(200_000)).await;
    let truncated = packed[..packed.len() - 1].to_vec();
    let mut corrupt = packed;
    corrupt[..64].fill(0xff);
    for packed in [truncated, corrupt] {
        let server =
            Server::start(move |_| Step::answer("200 OK", &[("Content-Encoding", "br")], &packed));
        let server = server.await;
        let error = get(&context(), &server.url("/")).await;
        let text = error_chain(&error.expect_err("the body is invalid"));
        assert!(text.contains("body is not valid br"), "{text}");
    }
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

#[tokio::test]
async fn nuls_after_gzip_members_are_skipped() {
    let plain = body(200_000);
    let padded = |bytes: &[u8]| [gzip(bytes), vec![0; 70_000]].concat();
    let packed = [padded(&plain[..1000]), padded(&plain[1000..])].concat();
    check("gzip", packed, plain).await;
}

#[tokio::test]
async fn other_bytes_after_gzip_members_are_an_error() {
    let packed = [
        gzip(b"hello"),
        vec![0, 0],
        b"garbage, long enough for a header".to_vec(),
    ]
    .concat();
    let server =
        Server::start(move |_| Step::answer("200 OK", &[("Content-Encoding", "gzip")], &packed));
    let server = server.await;
    let error = get(&context(), &server.url("/")).await;
    let text = error_chain(&error.expect_err("garbage is not gzip"));
    assert!(text.contains("body is not valid gzip"), "{text}");
}

/// Fetches a body with a content encoding and a hash. Returns the result and the number of requests.
async fn get_encoded(bytes: &[u8], hash: String) -> (Result<Bytes, FetchError>, usize) {
    let bytes = bytes.to_vec();
    let server =
        Server::start(move |_| Step::answer("200 OK", &[("Content-Encoding", "gzip")], &bytes));
    let server = server.await;
    let reference = json!({ "url": server.url("/file.tar.gz"), "sha256": hash });
    let fetched = get_reference(&context(), reference).await;
    (fetched, server.requests().len())
}

#[tokio::test]
async fn hash_of_the_sent_bytes_is_accepted() {
    // A compressed file, and an uncompressed one.
    for sent in [gzip(&body(100_000)), body(100_000)] {
        let (fetched, requests) = get_encoded(&sent, digest::<Sha256>(&sent)).await;
        assert!(fetched.expect("hash is that of the file") == sent);
        assert_eq!(requests, 2);
    }
}

#[tokio::test]
async fn hash_error_names_the_decoded_encoding() {
    let (fetched, requests) = get_encoded(&gzip(b"hello"), "0".repeat(64)).await;
    let error = fetched.expect_err("neither has the hash");
    let text = error_chain(&error);
    let actual = digest::<Sha256>(b"hello");
    let expected =
        format!("sha256 is {actual} after decoding the content encoding `gzip`, expected");
    assert!(text.contains(&expected), "{text}");
    assert_eq!(requests, 3, "decoded, as sent, and decoded again");
}
