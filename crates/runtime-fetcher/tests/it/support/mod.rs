//! Helpers shared by the tests.

mod fake;
mod server;

pub(crate) use fake::{FakeServices, RecordedProgress};
pub(crate) use server::{Request, Server, Step};

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use runtime_core::Services;
use runtime_fetcher::{
    AddressPolicy, Combine, FetchConfig, FetchContext, FetchError, Fetcher, HttpClient,
    MemoryTarget, Reference, RetryPolicy,
};
use serde_json::{Value, json};

/// Returns a configuration with quick retries that allows the loopback interface.
pub(crate) fn config() -> FetchConfig {
    FetchConfig {
        addresses: AddressPolicy::Any,
        max_bytes: 1 << 20,
        retry: RetryPolicy {
            max_attempts: 5,
            first_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(2),
            budget: Duration::from_secs(20),
        },
        ..FetchConfig::default()
    }
}

/// Sets a short stall timeout. A slow machine may exceed it, so a test must hold for additional attempts, too.
pub(crate) fn impatient(mut config: FetchConfig) -> FetchConfig {
    config.stall_timeout = Duration::from_millis(300);
    config
}

pub(crate) fn context() -> FetchContext {
    context_with(config())
}

pub(crate) fn context_with(config: FetchConfig) -> FetchContext {
    let http = HttpClient::new(config).expect("configuration is valid");
    FetchContext::new(http, Services::disconnected())
}

pub(crate) async fn resolve(context: &FetchContext, reference: Value) -> Arc<dyn Reference> {
    let resolved = Combine::standard().resolve(context, &reference).await;
    resolved.expect("reference is valid")
}

/// Fetches a URL into memory.
pub(crate) async fn get(context: &FetchContext, url: &str) -> Result<Bytes, FetchError> {
    get_reference(context, json!({ "url": url })).await
}

/// Fetches a reference into memory, and checks that the target is committed exactly on success.
pub(crate) async fn get_reference(
    context: &FetchContext,
    reference: Value,
) -> Result<Bytes, FetchError> {
    let reference = resolve(context, reference).await;
    let mut target = MemoryTarget::new(8 << 20);
    let result = soon(reference.fetch(context, &mut target)).await;
    match result {
        Ok(fetched) => {
            let bytes = target.bytes().expect("successful fetch commits");
            assert_eq!(bytes.len() as u64, fetched.bytes);
            Ok(bytes)
        }
        Err(error) => {
            assert_eq!(target.bytes(), None, "failed fetch commits nothing");
            Err(error)
        }
    }
}

/// Waits for the end of a fetch, and fails the test that would otherwise hang.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(Duration::from_secs(120), work).await;
    ended.expect("it ends within two minutes")
}

/// Returns the hash of bytes as in a reference.
pub(crate) fn digest<D: sha2::Digest>(bytes: &[u8]) -> String {
    let hash = D::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns bytes without short repetitions, so that misplaced ranges are detected.
pub(crate) fn body(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(length)
    .collect()
}
