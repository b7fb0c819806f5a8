//! Host names that encode the address of this machine: stateless DNS.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use ring::hmac;
use runtime_core::clock::{Clock, Stopwatch, timestamp_after};

use super::url_scheme::UrlScheme;
use crate::server::HookServer;

/// The length of the signed part of a label: address, expiry and salt.
const SIGNED_BYTES: usize = 14;

/// The length of the truncated signature. A full signature would exceed the 63 letters of a DNS label.
const MAC_BYTES: usize = 16;

/// Creates host names below a domain whose DNS server knows the secret.
///
/// A label is the base32 encoding of an IPv4 address, its expiry, a random salt and half of an HMAC-SHA256
/// signature. The DNS server verifies and decodes it, so no name has to be registered.
#[derive(Clone, Debug)]
pub(super) struct StatelessDns {
    key: hmac::Key,
    domain: String,
}

impl StatelessDns {
    pub(super) fn new(secret: &[u8], domain: &str) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            domain: domain.trim_matches('.').to_owned(),
        }
    }

    /// Returns the name of an address. The expiry is in milliseconds since 1970.
    fn host_name(&self, address: Ipv4Addr, expires_ms: i64, salt: [u8; 2]) -> String {
        let mut label = [0; SIGNED_BYTES + MAC_BYTES];
        label[..4].copy_from_slice(&address.octets());
        // Field order and byte order are given by the DNS server.
        label[4..12].copy_from_slice(&expires_ms.to_be_bytes());
        label[12..SIGNED_BYTES].copy_from_slice(&salt);
        let mac = hmac::sign(&self.key, &label[..SIGNED_BYTES]);
        label[SIGNED_BYTES..].copy_from_slice(&mac.as_ref()[..MAC_BYTES]);
        // In lower case, since browsers convert host names to lower case anyway.
        let label = BASE32_NOPAD.encode(&label).to_ascii_lowercase();
        format!("{label}.{}", self.domain)
    }
}

/// The options of stateless DNS.
#[derive(Debug)]
pub(super) struct DnsOptions {
    pub(super) dns: StatelessDns,
    pub(super) address: Ipv4Addr,
    pub(super) lifetime: Duration,
}

/// Renews the host name in a server's URLs before it expires.
#[derive(Debug)]
pub(super) struct HostNameRenewal {
    pub(super) options: DnsOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) scheme: UrlScheme,
}

impl HostNameRenewal {
    /// Returns the base URL with a new host name.
    pub(super) fn base_url(&self) -> String {
        let mut salt = [0; 2];
        // An error is harmless: the salt only distinguishes names created in the same millisecond.
        let _ = getrandom::fill(&mut salt);
        let DnsOptions {
            dns,
            address,
            lifetime,
        } = &self.options;
        let expires = timestamp_after(self.clock.now(), *lifetime);
        let name = dns.host_name(*address, expires.as_millisecond(), salt);
        self.scheme.base_url(&name)
    }

    /// Changes the URLs whenever half of the lifetime has passed.
    ///
    /// The previous name stays valid for the other half, which gives holders of a URL the time to switch.
    pub(super) async fn run(self, server: Arc<HookServer>) {
        let renew = async {
            loop {
                // Also by the monotonic clock: if the wall clock is set back, the name expires for others.
                let watch = Stopwatch::start(Arc::clone(&self.clock));
                watch.wait(self.options.lifetime / 2).await;
                server.registry.set_base_url(&self.base_url());
                server.monitor.count("url-changes", 1);
            }
        };
        server.stopping.run_until_cancelled(renew).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_match_the_dns_server() {
        let dns = StatelessDns::new(b"no-secret", "test-domain.local");
        let name = dns.host_name(Ipv4Addr::LOCALHOST, 1_500_000_000_000, [0, 0]);
        let expected = "p4aaaaiaaaav2pxxtaaaaacbpwgwd4ky5bzyebzt25wtgh5g.test-domain.local";
        assert_eq!(name, expected);
        let dns = StatelessDns::new(b"s3cr3t", ".taskcluster-worker.net");
        let address = Ipv4Addr::new(203, 0, 113, 7);
        let name = dns.host_name(address, 1_795_000_000_123, [0x12, 0x34]);
        let expected = "zmahcbyaaaa2d3swlz5reng32xkqirzffwz6v7yte7rgoarj.taskcluster-worker.net";
        assert_eq!(name, expected);
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let dns = StatelessDns::new(b"no-secret", "example.com");
        assert!(!format!("{dns:?}").contains("no-secret"));
    }
}
