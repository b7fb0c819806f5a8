//! The configuration of fetches.

use std::time::Duration;

use runtime_core::Secret;
use runtime_core::util::{ByteSize, DurationText, at_least};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::allowed_host::AllowedHost;

/// The configuration of fetches: timeouts, limits, retries, allowed addresses.
///
/// Every field has a default.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct FetchConfig {
    /// The timeout for establishing a connection. A response must start within this time plus the stall timeout.
    #[serde(with = "DurationText")]
    #[schemars(transform = at_least("1 ms"))]
    pub connect_timeout: Duration,
    /// The time without data after which an attempt fails.
    #[serde(with = "DurationText")]
    #[schemars(transform = at_least("1 ms"))]
    pub stall_timeout: Duration,
    /// The throughput below which an attempt fails.
    pub min_throughput: MinThroughput,
    /// The minimum interval between progress events.
    #[serde(with = "DurationText")]
    pub progress_interval: Duration,
    /// The maximum number of redirects.
    pub max_redirects: usize,
    /// The maximum size of a body, after decoding.
    #[serde(with = "ByteSize")]
    pub max_bytes: u64,
    /// The policy for retries.
    pub retry: RetryPolicy,
    /// The policy for parallel connections.
    pub parallel: ParallelPolicy,
    /// The addresses that references of tasks may reach.
    pub addresses: AddressPolicy,
    /// Hosts that references of tasks may reach although `addresses` denies their addresses, such as a mirror in a private
    /// network: names, domains with a leading dot, addresses, CIDR blocks. A block does not open the addresses of the
    /// machine itself and of metadata services.
    pub allowed_hosts: Vec<AllowedHost>,
    /// The URL of the proxy for all requests, optionally with user and password.
    pub proxy: Option<Secret>,
    /// Certificates in PEM to trust in addition to those of the machine, such as that of a TLS-inspecting proxy.
    pub ca_certificates: Vec<String>,
    /// Hosts to reach without the proxy: names, domains with a leading dot, addresses, CIDR blocks.
    pub no_proxy: Vec<String>,
    /// The value of `User-Agent`.
    pub user_agent: String,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            // Longer than the pauses of a loaded storage service; a resume is cheaper than a longer wait.
            stall_timeout: Duration::from_secs(60),
            min_throughput: MinThroughput::default(),
            progress_interval: Duration::from_secs(5),
            max_redirects: 10,
            // A guard against endless bodies; the free disk space is the limit in practice.
            max_bytes: 256 << 30,
            retry: RetryPolicy::default(),
            parallel: ParallelPolicy::default(),
            addresses: AddressPolicy::default(),
            allowed_hosts: Vec::new(),
            proxy: None,
            ca_certificates: Vec::new(),
            no_proxy: Vec::new(),
            user_agent: concat!("runtime-fetcher/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// The policy for retries of failed attempts.
///
/// The delay before retry `n` is random between 0 and `first_delay · 2ⁿ⁻¹`, capped at `max_delay`, but at least the
/// `Retry-After` of the server. Attempts and time count from the start of the fetch, and start again whenever an
/// attempt receives 1 MiB further than all attempts before.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RetryPolicy {
    /// The maximum number of attempts.
    pub max_attempts: u32,
    /// The maximum delay before the first retry.
    #[serde(with = "DurationText")]
    pub first_delay: Duration,
    /// The maximum delay before any retry.
    #[serde(with = "DurationText")]
    pub max_delay: Duration,
    /// The maximum duration of all attempts and delays. A delay that would exceed it ends the fetch.
    #[serde(with = "DurationText")]
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        // A restart of a service takes less than the budget of five minutes; a task should not wait longer.
        Self {
            max_attempts: 12,
            first_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
            budget: Duration::from_secs(300),
        }
    }
}

/// The throughput below which an attempt fails.
///
/// Only the time spent waiting for the server counts. An incomplete window at the end of a body is ignored.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct MinThroughput {
    /// The bytes that must be received in each window; `0 B` disables the check.
    #[serde(with = "ByteSize")]
    pub min_bytes: u64,
    /// The length of a window.
    #[serde(with = "DurationText")]
    #[schemars(transform = at_least("1 ms"))]
    pub window: Duration,
}

impl Default for MinThroughput {
    fn default() -> Self {
        // A 56k modem delivers this in three seconds: a slower body is broken.
        Self {
            min_bytes: 16 << 10,
            window: Duration::from_secs(60),
        }
    }
}

/// The policy for receiving a body over several connections.
///
/// A body starts on one connection. If its rest would take longer than `min_remaining`, the server accepts ranges,
/// and the body has a strong entity tag, the number of connections is doubled as long as that raises the throughput by
/// a fifth. Connections that do not help are closed, so a saturated link stays at one.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ParallelPolicy {
    /// The maximum number of connections for one body; 1 disables parallel ranges.
    pub max_connections: usize,
    /// The maximum number of connections of the worker in addition to the first one of each body. Each buffers one
    /// range in memory.
    pub max_extra_connections: usize,
    /// The size of a range.
    #[serde(with = "ByteSize")]
    #[schemars(transform = at_least("1 B"))]
    pub range_bytes: u64,
    /// The minimum remaining time of a body for which connections are added.
    #[serde(with = "DurationText")]
    pub min_remaining: Duration,
    /// The time over which the throughput is measured before each decision.
    #[serde(with = "DurationText")]
    pub window: Duration,
}

impl Default for ParallelPolicy {
    fn default() -> Self {
        // S3 limits a connection to about 100 MB/s, so four saturate most network interfaces. The ranges of 8 extra
        // connections take at most 32 MiB of memory.
        Self {
            max_connections: 4,
            max_extra_connections: 8,
            range_bytes: 4 << 20,
            min_remaining: Duration::from_secs(2),
            window: Duration::from_secs(1),
        }
    }
}

/// The addresses that references of tasks may reach.
///
/// URLs issued by the deployment, such as the signed URL of an artifact, may have any address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AddressPolicy {
    /// The addresses of the public Internet, except those of the worker's machine and of metadata services, and the
    /// [`allowed_hosts`](FetchConfig::allowed_hosts). Private, loopback, link-local, multicast and reserved addresses are
    /// denied, even if embedded in an IPv6 address.
    #[default]
    Guarded,
    /// All: for tests, and for workers that trust their tasks.
    Any,
}
