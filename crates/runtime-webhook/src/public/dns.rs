//! Host names that carry their own address: stateless DNS.

use std::fmt;
use std::net::Ipv4Addr;

use data_encoding::BASE32_NOPAD;
use ring::hmac;

/// The bytes that are signed: address, expiry and salt.
const SIGNED: usize = 14;

/// How much of the signature is part of the name.
const MAC: usize = 16;

/// Makes names below a domain, which its DNS server resolves without knowing of them before.
///
/// A label is the base 32 of an IPv4 address, the time until which it is answered, two random bytes, and
/// half of a signature with a secret that the DNS server knows.
#[derive(Clone)]
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

    /// A name for an address until a time in milliseconds since 1970.
    pub(super) fn name(&self, address: Ipv4Addr, expires_ms: i64, salt: [u8; 2]) -> String {
        let mut label = [0; SIGNED + MAC];
        label[..4].copy_from_slice(&address.octets());
        label[4..12].copy_from_slice(&expires_ms.to_be_bytes());
        label[12..SIGNED].copy_from_slice(&salt);
        let mac = hmac::sign(&self.key, &label[..SIGNED]);
        label[SIGNED..].copy_from_slice(&mac.as_ref()[..MAC]);
        let label = BASE32_NOPAD.encode(&label).to_ascii_lowercase();
        format!("{label}.{}", self.domain)
    }
}

impl fmt::Debug for StatelessDns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatelessDns")
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_dns_server_answers() {
        let dns = StatelessDns::new(b"no-secret", "test-domain.local");
        assert_eq!(
            dns.name(Ipv4Addr::LOCALHOST, 1_500_000_000_000, [0, 0]),
            "p4aaaaiaaaav2pxxtaaaaacbpwgwd4ky5bzyebzt25wtgh5g.test-domain.local"
        );
        let dns = StatelessDns::new(b"s3cr3t", ".taskcluster-worker.net");
        assert_eq!(
            dns.name(
                Ipv4Addr::new(203, 0, 113, 7),
                1_795_000_000_123,
                [0x12, 0x34]
            ),
            "zmahcbyaaaa2d3swlz5reng32xkqirzffwz6v7yte7rgoarj.taskcluster-worker.net"
        );
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let dns = StatelessDns::new(b"no-secret", "example.com");
        assert!(!format!("{dns:?}").contains("no-secret"));
    }
}
