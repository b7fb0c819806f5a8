//! How a worker fetches.

use std::time::Duration;

use runtime_core::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a worker fetches: limits, retries, which addresses are allowed.
///
/// Times are in milliseconds. Every field has a default.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct FetchConfig {
    /// How long connecting may take, and how long the answer to a request.
    #[serde(rename = "connectTimeoutMs", with = "millis")]
    #[schemars(with = "u64", range(min = 1))]
    pub connect_timeout: Duration,
    /// How long a body may stand still before the attempt counts as failed.
    #[serde(rename = "stallTimeoutMs", with = "millis")]
    #[schemars(with = "u64", range(min = 1))]
    pub stall_timeout: Duration,
    /// When a body comes too slowly to be waited for.
    pub slow: MinThroughput,
    /// How often, at most, a listener hears of progress.
    #[serde(rename = "progressIntervalMs", with = "millis")]
    #[schemars(with = "u64")]
    pub progress_interval: Duration,
    /// How many redirects are followed.
    pub max_redirects: usize,
    /// How many bytes one reference may have, after decoding.
    pub max_bytes: u64,
    /// When a failed attempt is followed by another.
    pub retry: RetryPolicy,
    /// When a body comes over several connections at a time.
    pub parallel: ParallelPolicy,
    /// Which addresses a reference of a task may reach.
    pub addresses: AddressPolicy,
    /// The URL of the proxy for all requests, if there must be one; a user and a password may be in it.
    pub proxy: Option<Secret>,
    /// Certificates to trust besides those of the machine, in PEM, such as that of a proxy that looks into TLS.
    pub ca_certificates: Vec<String>,
    /// Hosts that are reached without the proxy: names, domains with a leading dot, addresses, CIDR blocks.
    pub no_proxy: Vec<String>,
    /// What `User-Agent` says.
    pub user_agent: String,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            slow: MinThroughput::default(),
            progress_interval: Duration::from_secs(5),
            max_redirects: 10,
            max_bytes: 256 << 30,
            retry: RetryPolicy::default(),
            parallel: ParallelPolicy::default(),
            addresses: AddressPolicy::default(),
            proxy: None,
            ca_certificates: Vec::new(),
            no_proxy: Vec::new(),
            user_agent: concat!("runtime-fetcher/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// When a failed attempt is followed by another.
///
/// The wait before attempt `n` is a random part of `first_delay · 2ⁿ`, at most `max_delay`, and
/// never less than the server asked for with `Retry-After`. Attempts and time count from the start,
/// or from the last attempt that brought a mebibyte that none had brought before.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RetryPolicy {
    /// How many attempts there are at most.
    pub max_attempts: u32,
    /// The first wait, at most.
    #[serde(rename = "firstDelayMs", with = "millis")]
    #[schemars(with = "u64")]
    pub first_delay: Duration,
    /// Every wait, at most.
    #[serde(rename = "maxDelayMs", with = "millis")]
    #[schemars(with = "u64")]
    pub max_delay: Duration,
    /// How long all of it may take; no wait goes past its end.
    #[serde(rename = "budgetMs", with = "millis")]
    #[schemars(with = "u64")]
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 12,
            first_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
            budget: Duration::from_secs(300),
        }
    }
}

/// When a body comes too slowly to be waited for, so that the attempt counts as failed.
///
/// Only time in which the server is waited for counts. The end of a body that is over before a window is
/// not judged.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct MinThroughput {
    /// How many bytes must come in each window; with 0, a body may be as slow as it likes.
    pub min_bytes: u64,
    /// How long a window is.
    #[serde(rename = "windowMs", with = "millis")]
    #[schemars(with = "u64", range(min = 1))]
    pub window: Duration,
}

impl Default for MinThroughput {
    fn default() -> Self {
        Self {
            min_bytes: 16 << 10,
            window: Duration::from_secs(60),
        }
    }
}

/// When a body comes over several connections at a time.
///
/// A body starts with one. When its rest would take longer than `min_remaining`, and the server takes ranges and
/// names exact bytes, two are tried, and so on as long as twice the connections bring it a fifth faster;
/// what does not help is taken back. So it is never more where one connection fills the wire.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ParallelPolicy {
    /// How many connections one body may use; with 1, there are no parallel ranges.
    pub max_connections: usize,
    /// How many connections all bodies together may use besides the first of each. Each holds a
    /// piece in memory.
    pub max_extra_connections: usize,
    /// How much one request asks for, once there are several.
    pub piece_bytes: u64,
    /// How long the rest of a body must take to be worth another connection.
    #[serde(rename = "minRemainingMs", with = "millis")]
    #[schemars(with = "u64")]
    pub min_remaining: Duration,
    /// How long the rate is measured before each decision.
    #[serde(rename = "windowMs", with = "millis")]
    #[schemars(with = "u64")]
    pub window: Duration,
}

impl Default for ParallelPolicy {
    fn default() -> Self {
        Self {
            max_connections: 4,
            max_extra_connections: 8,
            piece_bytes: 4 << 20,
            min_remaining: Duration::from_secs(2),
            window: Duration::from_secs(1),
        }
    }
}

/// Which addresses a reference of a task may reach.
///
/// What the deployment itself names, such as the signed URL of an artifact, may be anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AddressPolicy {
    /// None that lead to the worker itself or to the services of its cloud: loopback, link-local,
    /// metadata, unspecified and multicast addresses are refused.
    #[default]
    Guarded,
    /// Any: for tests, and for workers whose tasks are trusted like the worker itself.
    Any,
}

mod millis {
    //! Durations as whole milliseconds.

    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
