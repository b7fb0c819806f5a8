//! The SSRF guard: keeps references of tasks away from addresses that only the worker should reach.
//!
//! A task chooses the URL, but the worker sends the request: without a guard, a task could read the cloud
//! credentials of the worker from its metadata service, or use services that trust the network of the worker. A name is
//! checked when it is resolved, and the connection uses the checked address. A separate lookup before the request would
//! not do: with DNS rebinding, the second lookup of a name returns another address. Behind a proxy, which resolves names
//! itself, only names are denied that are never public.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use runtime_http::reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use super::special_addresses::{Denial, denial, embedded_v4};
use crate::allowed_host::AllowedHost;
use crate::attempt_error::AttemptError;

/// A host whose addresses are all denied.
#[derive(Debug, thiserror::Error)]
#[error("all addresses of `{host}` are denied")]
pub(super) struct DeniedHost {
    pub(super) host: String,
    pub(super) kind: &'static str,
}

/// The rules for the hosts that references of tasks may reach. Clones share the allow-list.
#[derive(Clone, Debug)]
pub(super) struct SsrfGuard {
    pub(super) allowed: Arc<[AllowedHost]>,
    pub(super) is_behind_proxy: bool,
}

impl SsrfGuard {
    /// Checks hosts that do not reach [`GuardedResolver`]: literal addresses, and behind a proxy also names.
    pub(super) fn check_host(&self, host: Option<Host<&str>>) -> Result<(), AttemptError> {
        let (host, kind) = match host {
            Some(Host::Ipv4(address)) => {
                (address.to_string(), self.denied_kind(None, address.into()))
            }
            Some(Host::Ipv6(address)) => {
                (address.to_string(), self.denied_kind(None, address.into()))
            }
            Some(Host::Domain(name)) if self.is_behind_proxy => {
                let is_denied = is_local_name(name) && !self.allows_name(name);
                (
                    name.to_owned(),
                    is_denied.then_some("a host that is not public"),
                )
            }
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        match kind {
            Some(kind) => Err(AttemptError::AddressDenied { host, kind }),
            None => Ok(()),
        }
    }

    /// Returns the kind of an address if it is denied.
    fn denied_kind(&self, name: Option<&str>, address: IpAddr) -> Option<&'static str> {
        let denial = match denial(address) {
            Some(denial) if denial.is_lifted_by_block() && is_own(address) => Denial::ThisMachine,
            Some(denial) => denial,
            None if is_own(address) => Denial::ThisMachine,
            None => return None,
        };
        let is_allowed = name.is_some_and(|name| self.allows_name(name))
            || self.allowed.iter().any(|entry| {
                entry.matches_address(address)
                    || denial.is_lifted_by_block() && entry.is_block_with(address)
            });
        (!is_allowed).then(|| denial.description())
    }

    fn allows_name(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        self.allowed.iter().any(|entry| entry.matches_name(name))
    }
}

/// A resolver that uses the system's and filters out denied addresses.
#[derive(Debug)]
pub(super) struct GuardedResolver {
    pub(super) guard: SsrfGuard,
    /// The host of the configured proxy, which may have any address.
    pub(super) exempt: Option<String>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let guard = self.guard.clone();
        let exempt = self.exempt.as_deref() == Some(&host);
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let (mut allowed, mut denied) = (Vec::new(), None);
            for address in found {
                match guard.denied_kind(Some(&host), address.ip()) {
                    Some(kind) if !exempt => denied = Some(kind),
                    _ => allowed.push(address),
                }
            }
            match denied {
                Some(kind) if allowed.is_empty() => Err(DeniedHost { host, kind }.into()),
                _ => {
                    let addresses: Addrs = Box::new(allowed.into_iter());
                    Ok(addresses)
                }
            }
        })
    }
}

/// Returns whether a lower-case name is never public: a name without a dot, or in a domain for local use.
fn is_local_name(name: &str) -> bool {
    /// Reserved by RFC 6761, RFC 6762, RFC 8375 and ICANN; and the short name of Google's metadata service.
    const LOCAL_DOMAINS: [&str; 5] = [
        ".localhost",
        ".local",
        ".home.arpa",
        ".internal",
        ".metadata.goog",
    ];
    let name = format!(".{}", name.strip_suffix('.').unwrap_or(name));
    let is_single_label = !name[1..].contains('.');
    is_single_label || LOCAL_DOMAINS.iter().any(|domain| name.ends_with(domain))
}

/// Returns whether an address belongs to this machine.
///
/// For a connection to an address of this machine, the system chooses the same address as the local one. A UDP socket shows it
/// without sending anything, and a list of the interfaces would be outdated when one changes.
fn is_own(address: IpAddr) -> bool {
    // A gateway may lead back to this machine.
    let address = match address {
        IpAddr::V6(v6) => embedded_v4(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    let any: IpAddr = match address {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    // The port is of no importance, but must not be 0.
    let local = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(address, 9))?;
        socket.local_addr()
    });
    local.is_ok_and(|local| local.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allowed: &[&str], is_behind_proxy: bool) -> SsrfGuard {
        let allowed = allowed
            .iter()
            .map(|text| text.parse().expect("entry is valid"));
        SsrfGuard {
            allowed: allowed.collect(),
            is_behind_proxy,
        }
    }

    fn kind(allowed: &[&str], name: Option<&str>, address: &str) -> Option<&'static str> {
        let address = address.parse().expect("address is valid");
        guard(allowed, false).denied_kind(name, address)
    }

    #[test]
    fn own_addresses_are_recognized() {
        for own in [
            "127.0.0.1",
            "127.1.2.3",
            "0.0.0.0",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(is_own(own.parse().expect("address is valid")), "{own}");
        }
        for other in ["192.0.2.1", "2001:db8::1"] {
            assert!(!is_own(other.parse().expect("address is valid")), "{other}");
        }
    }

    #[test]
    fn address_of_an_interface_is_recognized() {
        // The address that this machine would use for others, if it has a network. Nothing is sent.
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a port is free");
        if socket.connect("192.0.2.1:9").is_ok() {
            let own = socket.local_addr().expect("socket is bound").ip();
            assert!(is_own(own), "{own}");
            assert_eq!(
                kind(&["0.0.0.0/0"], None, &own.to_string()),
                Some("an address of the worker's machine")
            );
            assert_eq!(kind(&[&own.to_string()], None, &own.to_string()), None);
        }
    }

    #[test]
    fn allowed_addresses_are_reachable() {
        assert_eq!(kind(&[], None, "10.1.2.3"), Some("a private address"));
        for entry in ["10.1.2.3", "10.0.0.0/8"] {
            assert_eq!(kind(&[entry], None, "10.1.2.3"), None, "{entry}");
            assert_eq!(kind(&[entry], None, "::ffff:10.1.2.3"), None, "{entry}");
            assert_eq!(kind(&[entry], None, "11.1.2.3"), None, "public");
            assert_eq!(
                kind(&[entry], None, "192.168.1.1"),
                Some("a private address")
            );
            // The gateway of NAT64 is another network.
            assert_eq!(
                kind(&[entry], None, "64:ff9b::10.1.2.3"),
                Some("a private address")
            );
        }
    }

    #[test]
    fn blocks_do_not_open_sensitive_addresses() {
        for (block, address) in [
            ("127.0.0.0/8", "127.0.0.1"),
            ("169.254.0.0/16", "169.254.169.254"),
            ("100.64.0.0/10", "100.100.100.200"),
            ("fc00::/7", "fd00:ec2::254"),
            ("64:ff9b:1::/48", "64:ff9b:1::a9fe:a9fe"),
            ("::/0", "::1"),
        ] {
            assert!(kind(&[block], None, address).is_some(), "{block} {address}");
            assert_eq!(kind(&[block, address], None, address), None, "{address}");
        }
    }

    #[test]
    fn allowed_names_may_have_any_address() {
        let allowed = ["mirror.example", ".corp.example"];
        for name in ["mirror.example", "a.corp.example", "a.corp.example."] {
            assert_eq!(kind(&allowed, Some(name), "10.1.2.3"), None, "{name}");
        }
        for name in ["a.mirror.example", "corp.example"] {
            assert!(kind(&allowed, Some(name), "10.1.2.3").is_some(), "{name}");
        }
    }

    #[test]
    fn local_names_are_denied_behind_a_proxy() {
        let check = |guard: &SsrfGuard, name| guard.check_host(Some(Host::Domain(name)));
        for name in [
            "localhost",
            "localhost.",
            "a.b.localhost",
            "printer.local",
            "intranet",
            "metadata.google.internal",
            "metadata.goog",
        ] {
            check(&guard(&[], true), name).expect_err(name);
            check(&guard(&[], false), name).expect(name);
        }
        for name in [
            "example.com",
            "localhost.example.com",
            "notlocalhost.example",
            "metadata.example",
        ] {
            check(&guard(&[], true), name).expect(name);
        }
        check(&guard(&["intranet"], true), "intranet").expect("it is allowed");
    }
}
