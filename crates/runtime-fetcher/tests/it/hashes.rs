//! Verification of hashes.

use runtime_core::error_chain;
use runtime_fetcher::{FetchContext, FileTarget};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;

use crate::support::{
    Server, Step, body, config, context, context_with, digest, get_reference, resolve,
};

const HELLO_MD5: &str = "5d41402abc4b2a76b9719d911017c592";
const HELLO_SHA1: &str = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d";
const HELLO_SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const HELLO_SHA512: &str = "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043";

async fn hello() -> Server {
    Server::start(|_| Step::answer("200 OK", &[], b"hello")).await
}

fn reference(server: &Server, hashes: Value) -> Value {
    let mut reference = hashes;
    reference["url"] = server.url("/hello").into();
    reference
}

#[tokio::test]
async fn matching_hashes_are_accepted() {
    let server = hello().await;
    let hashes = json!({
        "md5": HELLO_MD5, "sha1": HELLO_SHA1, "sha256": HELLO_SHA256.to_uppercase(), "sha512": HELLO_SHA512,
    });
    let bytes = get_reference(&context(), reference(&server, hashes)).await;
    assert_eq!(bytes.expect("hashes match"), "hello");
}

#[tokio::test]
async fn one_wrong_hash_is_refused() {
    let server = hello().await;
    for name in ["md5", "sha1", "sha256", "sha512"] {
        let mut hashes = json!({
            "md5": HELLO_MD5, "sha1": HELLO_SHA1, "sha256": HELLO_SHA256, "sha512": HELLO_SHA512,
        });
        let wrong = hashes[name]
            .as_str()
            .expect("hash is a string")
            .replace(['0', '4'], "5");
        hashes[name] = wrong.clone().into();
        let error = get_reference(&context(), reference(&server, hashes))
            .await
            .expect_err(name);
        assert!(error.is_broken_reference());
        let text = error_chain(&error);
        assert!(text.contains(name) && text.contains(&wrong), "{text}");
    }
}

#[tokio::test]
async fn wrong_bytes_are_fetched_twice() {
    let server = hello().await;
    let hashes = json!({ "sha256": "0".repeat(64) });
    let error = get_reference(&context(), reference(&server, hashes))
        .await
        .expect_err("hash differs");
    assert!(error.is_broken_reference(), "{error:?}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn correct_bytes_on_retry_are_accepted() {
    let server = Server::start(|request| match request.number {
        0 => Step::answer("200 OK", &[], b"hellO"),
        _ => Step::answer("200 OK", &[], b"hello"),
    })
    .await;
    let bytes = get_reference(
        &context(),
        reference(&server, json!({ "sha256": HELLO_SHA256 })),
    )
    .await;
    assert_eq!(bytes.expect("second attempt succeeds"), "hello");
}

const LARGE: usize = 3_000_000;

/// Returns a server with a large body, a context that allows its size, and a reference with two hashes.
async fn large() -> (Server, FetchContext, Value) {
    let server = Server::start(|_| Step::answer("200 OK", &[], &body(LARGE))).await;
    let bytes = body(LARGE);
    let hashes = json!({
        "sha1": digest::<Sha1>(&bytes),
        "sha256": digest::<Sha256>(&bytes),
    });
    let mut config = config();
    config.max_bytes = 4 << 20;
    let reference = reference(&server, hashes);
    (server, context_with(config), reference)
}

#[tokio::test]
async fn many_batches_are_hashed_completely() {
    let (_server, context, reference) = large().await;
    let fetched = get_reference(&context, reference).await;
    assert_eq!(fetched.expect("hashes match"), body(LARGE));
}

#[test]
fn one_blocking_thread_suffices() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build();
    let folder = tempfile::tempdir().expect("disk has space");
    let path = folder.path().join("large");
    runtime.expect("runtime starts").block_on(async {
        let (_server, context, reference) = large().await;
        let reference = resolve(&context, reference).await;
        let fetched = reference.fetch(&context, &mut FileTarget::new(&path)).await;
        fetched.expect("hashes match");
    });
    let there = std::fs::read(&path).expect("path exists");
    assert!(there == body(LARGE));
}
