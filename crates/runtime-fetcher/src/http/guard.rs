//! Keeps references of tasks away from addresses that only the worker should reach.
//!
//! Names are checked after they are resolved and the connection goes to the address that was
//! checked, so that a name cannot change its mind in between. Behind a proxy, which resolves names by
//! itself, only those are refused that mean the same everywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use runtime_http::reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use crate::AttemptError;

/// A host name leads only to addresses that are refused.
#[derive(Debug, thiserror::Error)]
#[error("`{host}` is at an address that is refused")]
pub(super) struct AddressRefused {
    pub(super) host: String,
}

/// Resolves names like the system does, and hides addresses that are refused.
#[derive(Debug)]
pub(super) struct GuardedResolver {
    /// The proxy is the worker's own choice, and may be anywhere.
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
                .filter(|address| exempt || !is_refused(address.ip()))
                .collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(AddressRefused { host }.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

/// Checks what [`GuardedResolver`] does not see: addresses, and behind a proxy also names.
pub(super) fn check_host(
    host: Option<Host<&str>>,
    is_behind_proxy: bool,
) -> Result<(), AttemptError> {
    let refuse = |host: String| Err(AttemptError::AddressRefused { host });
    let address = match host {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(name)) if is_behind_proxy && is_refused_name(name) => {
            return refuse(name.to_owned());
        }
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    match is_refused(address) {
        true => refuse(address.to_string()),
        false => Ok(()),
    }
}

/// Reports whether a name, in lower case, leads to the machine that resolves it or to its cloud's metadata.
fn is_refused_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_local = name == "localhost" || name.ends_with(".localhost");
    is_local || matches!(name, "metadata.google.internal" | "metadata.goog")
}

fn is_refused(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_refused_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(embedded) => is_refused_v4(embedded),
            None => is_refused_v6(address),
        },
    }
}

fn is_refused_v4(address: Ipv4Addr) -> bool {
    /// Metadata services outside of the link-local block: Azure, Alibaba, Oracle.
    const METADATA: [Ipv4Addr; 3] = [
        Ipv4Addr::new(168, 63, 129, 16),
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(192, 0, 0, 192),
    ];
    address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.octets()[0] == 0
        || METADATA.contains(&address)
}

fn is_refused_v6(address: Ipv6Addr) -> bool {
    let is_metadata = match address.segments() {
        // AWS keeps all services of a machine there: metadata, credentials of a pod, time, names.
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

/// The IPv4 address that an IPv6 address leads to: compatible, mapped, translated, NAT64 or 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => join(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => join(high, low),
        // The second is for networks of their own, which mostly keep to the last 32 bits as well.
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

    fn check(addresses: &[&str], refused: bool) {
        for text in addresses {
            let address: IpAddr = text.parse().expect("the test writes addresses");
            assert_eq!(is_refused(address), refused, "{text}");
        }
    }

    #[test]
    fn addresses_of_the_worker_and_its_cloud_are_refused() {
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
    fn ipv6_in_front_of_a_refused_ipv4_address_is_refused() {
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
    fn the_internet_and_private_networks_are_allowed() {
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
    fn names_are_refused_that_mean_the_worker_or_its_cloud_wherever_they_are_resolved() {
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
