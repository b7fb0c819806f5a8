//! The SSRF guard: keeps references of tasks away from addresses that only the worker should reach.
//!
//! A task chooses the URL, but the worker sends the request: without a guard, a task could read the cloud
//! credentials of the worker from its metadata service. A name is checked when it is resolved, and the connection uses
//! the checked address. A separate lookup before the request would not do: with DNS rebinding, the second lookup of a
//! name returns another address. Behind a proxy, which resolves names itself, only names are denied that have one
//! meaning everywhere.
//!
//! Private addresses (RFC 1918) are not denied: mirrors and proxies inside the worker's network have them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use runtime_http::reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use crate::attempt_error::AttemptError;

/// A host whose addresses are all denied.
#[derive(Debug, thiserror::Error)]
#[error("all addresses of `{host}` are denied")]
pub(super) struct DeniedHost {
    pub(super) host: String,
}

/// A resolver that uses the system's and filters out denied addresses.
#[derive(Debug)]
pub(super) struct GuardedResolver {
    /// The host of the configured proxy, which may have any address.
    pub(super) exempt: Option<String>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let exempt = self.exempt.as_deref() == Some(&host);
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|address| exempt || !is_denied(address.ip()))
                .collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(DeniedHost { host }.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

/// Checks hosts that do not reach [`GuardedResolver`]: literal addresses, and behind a proxy also names.
pub(super) fn check_host(
    host: Option<Host<&str>>,
    is_behind_proxy: bool,
) -> Result<(), AttemptError> {
    let denied = match host {
        Some(Host::Ipv4(address)) if is_denied(IpAddr::V4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) if is_denied(IpAddr::V6(address)) => address.to_string(),
        Some(Host::Domain(name)) if is_behind_proxy && is_denied_name(name) => name.to_owned(),
        _ => return Ok(()),
    };
    Err(AttemptError::AddressDenied { host: denied })
}

/// Returns whether a lower-case name means the machine that resolves it, or the metadata service of its cloud.
fn is_denied_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_local = name == "localhost" || name.ends_with(".localhost");
    is_local || matches!(name, "metadata.google.internal" | "metadata.goog")
}

fn is_denied(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_denied_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(embedded) => is_denied_v4(embedded),
            None => is_denied_v6(address),
        },
    }
}

fn is_denied_v4(address: Ipv4Addr) -> bool {
    /// Metadata services outside of the link-local block 169.254.0.0/16: Azure, Alibaba, Oracle.
    const METADATA: [Ipv4Addr; 3] = [
        Ipv4Addr::new(168, 63, 129, 16),
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(192, 0, 0, 192),
    ];
    address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        // Linux connects 0.0.0.0/8 to the machine itself.
        || address.octets()[0] == 0
        || METADATA.contains(&address)
}

fn is_denied_v6(address: Ipv6Addr) -> bool {
    let is_metadata = match address.segments() {
        // The services that AWS offers to a machine: metadata, credentials of a pod, time, DNS.
        [0xfd00, 0xec2, ..] => true,
        // Google and Scaleway.
        [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] => true,
        _ => false,
    };
    is_metadata
        || address.is_loopback()
        || address.is_unspecified()
        || address.is_unicast_link_local()
        || address.is_multicast()
}

/// Returns the IPv4 address that an IPv6 address leads to: compatible, mapped, translated, NAT64 or 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // `::` and `::1` have the form of a compatible address but are IPv6 addresses.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => join(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => join(high, low),
        // 64:ff9b::/96 is NAT64. 64:ff9b:1::/48 is its block for local prefixes (RFC 8215), most of which keep the
        // IPv4 address in the last 32 bits.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => {
            join(high, low)
        }
        [0x2002, high, low, ..] => join(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &[&str], denied: bool) {
        for text in addresses {
            let address: IpAddr = text.parse().expect("address is valid");
            assert_eq!(is_denied(address), denied, "{text}");
        }
    }

    #[test]
    fn loopback_and_metadata_addresses_are_denied() {
        check(
            &[
                "127.0.0.1",
                "127.9.9.9",
                "0.0.0.0",
                "0.1.2.3",
                "169.254.169.254",
                "168.63.129.16",
            ],
            true,
        );
        check(
            &[
                "100.100.100.200",
                "255.255.255.255",
                "224.0.0.1",
                "192.0.0.192",
            ],
            true,
        );
        check(&["::1", "::", "fe80::1", "ff02::1", "fd00:ec2::254"], true);
        check(&["fd00:ec2::23", "fd20:ce::254", "fd00:42::42"], true);
    }

    #[test]
    fn embedded_ipv4_addresses_are_checked() {
        check(
            &[
                "::ffff:127.0.0.1",
                "::127.0.0.1",
                "64:ff9b::169.254.169.254",
            ],
            true,
        );
        check(&["2002:7f00:0001::1", "::ffff:169.254.169.254"], true);
        check(&["::ffff:0:127.0.0.1", "64:ff9b:1::169.254.169.254"], true);
    }

    #[test]
    fn public_and_private_networks_are_allowed() {
        check(
            &[
                "93.184.216.34",
                "10.1.2.3",
                "192.168.0.1",
                "172.16.0.1",
                "100.64.0.1",
            ],
            false,
        );
        check(
            &["2606:2800:220:1::1", "fd12:3456::1", "::ffff:93.184.216.34"],
            false,
        );
        check(&["fd20:ce::1", "64:ff9b::93.184.216.34"], false);
    }

    #[test]
    fn local_and_metadata_names_are_denied_behind_a_proxy() {
        for name in [
            "localhost",
            "localhost.",
            "a.b.localhost",
            "metadata.google.internal",
        ] {
            check_host(Some(Host::Domain(name)), true).expect_err(name);
        }
        for name in [
            "example.com",
            "localhost.example.com",
            "notlocalhost",
            "metadata.example",
        ] {
            check_host(Some(Host::Domain(name)), true).expect(name);
        }
    }
}
