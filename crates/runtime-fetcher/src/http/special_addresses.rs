//! The addresses that are not part of the public Internet, by the registries of special-purpose addresses.
//!
//! The registries are those of RFC 6890 at IANA (`iana-ipv4-special-registry`, `iana-ipv6-special-registry`), of
//! November 2025. A block is special unless its column "Globally Reachable" says true.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::allowed_host::is_in_block;

/// The reason a reference of a task must not reach an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// The address of a metadata service, which hands out credentials of the worker.
    Metadata,
    /// An address of the machine of the worker.
    ThisMachine,
    /// An address that is not globally reachable.
    Special(&'static str),
}

impl Denial {
    /// Returns the kind of address for messages.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Metadata => "the address of a cloud metadata service",
            Self::ThisMachine => "an address of the worker's machine",
            Self::Special(description) => description,
        }
    }

    /// Returns whether a block in the allow-list lifts the denial.
    ///
    /// A block of a whole network is meant for its mirrors. It also contains the services of this machine and those
    /// that trust it, which have to be listed one by one.
    pub(super) fn is_lifted_by_block(self) -> bool {
        matches!(self, Self::Special(_))
    }
}

/// Returns the reason to deny an address, if any, without regard to the addresses of this machine.
pub(super) fn denial(address: IpAddr) -> Option<Denial> {
    match address {
        IpAddr::V4(address) => denial_v4(address),
        IpAddr::V6(address) => denial_v6(address),
    }
}

/// The addresses of metadata services: AWS, Google, Azure and others; the second ones of Azure, Alibaba and Oracle.
const METADATA_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

const SPECIAL_V4: [(Ipv4Addr, u8, &str); 15] = [
    // Linux connects 0.0.0.0/8 to the machine itself.
    (Ipv4Addr::new(0, 0, 0, 0), 8, "a loopback address"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a private address"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "a reserved address"),
    // The relays of 6to4 (RFC 7526), which may forward to any network.
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "a private address"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "a reserved address"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "a reserved address"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

/// Globally reachable addresses inside of special blocks: anycast addresses of PCP and TURN.
const REACHABLE_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 9), Ipv4Addr::new(192, 0, 0, 10)];

fn denial_v4(address: Ipv4Addr) -> Option<Denial> {
    if METADATA_V4.contains(&address) {
        return Some(Denial::Metadata);
    }
    if REACHABLE_V4.contains(&address) {
        return None;
    }
    let mut special = SPECIAL_V4.into_iter();
    let found =
        special.find(|(start, length, _)| is_in_block(address.into(), (*start).into(), *length));
    found.map(|(_, _, description)| Denial::Special(description))
}

/// The blocks of IPv6 with a description. All addresses outside of 2000::/3 are special, those inside are not.
const SPECIAL_V6: [(Ipv6Addr, u8, &str); 9] = [
    (Ipv6Addr::LOCALHOST, 128, "a loopback address"),
    (v6(0xfc00, 0, 0), 7, "a private address"),
    (v6(0xfe80, 0, 0), 10, "a link-local address"),
    (v6(0xfec0, 0, 0), 10, "a private address"),
    (v6(0xff00, 0, 0), 8, "a multicast address"),
    // The local prefixes of NAT64 (RFC 8215). Where in the address the IPv4 address is depends on the network.
    (v6(0x64, 0xff9b, 1), 48, "a private address"),
    // Protocols of the IETF, among them the tunnels of Teredo.
    (v6(0x2001, 0, 0), 23, "a reserved address"),
    (v6(0x2001, 0xdb8, 0), 32, "a reserved address"),
    (v6(0x3fff, 0, 0), 20, "a reserved address"),
];

/// Globally reachable blocks inside of 2001::/23: anycast addresses, AMT, AS112, ORCHIDv2, DRIP.
const REACHABLE_V6: [(Ipv6Addr, u8); 7] = [
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 1), 128),
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 2), 128),
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 3), 128),
    (v6(0x2001, 3, 0), 32),
    (v6(0x2001, 4, 0x112), 48),
    (v6(0x2001, 0x20, 0), 28),
    (v6(0x2001, 0x30, 0), 28),
];

const fn v6(first: u16, second: u16, third: u16) -> Ipv6Addr {
    Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0)
}

fn denial_v6(address: Ipv6Addr) -> Option<Denial> {
    if is_metadata_v6(address) {
        return Some(Denial::Metadata);
    }
    if let Some(embedded) = embedded_v4(address) {
        return denial_v4(embedded);
    }
    let is_in = |start: Ipv6Addr, length| is_in_block(address.into(), start.into(), length);
    if REACHABLE_V6
        .iter()
        .any(|(start, length)| is_in(*start, *length))
    {
        return None;
    }
    let mut special = SPECIAL_V6.into_iter();
    match special.find(|(start, length, _)| is_in(*start, *length)) {
        Some((_, _, description)) => Some(Denial::Special(description)),
        None if is_in(v6(0x2000, 0, 0), 3) => None,
        None => Some(Denial::Special("a reserved address")),
    }
}

fn is_metadata_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // The services that AWS offers to a machine: metadata, credentials of a pod, time, DNS.
        [0xfd00, 0xec2, ..] => true,
        // Google and Scaleway.
        [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] => true,
        _ => contains_metadata_v4(address),
    }
}

/// Returns whether an IPv6 address contains the IPv4 address of a metadata service at any position.
///
/// Some clouds form the IPv6 address of the service in this way (`fd00:c1::a9fe:a9fe`), and a NAT64 of the network may
/// use any prefix (RFC 6052), after which octet 8 is skipped. The chance that another address matches is one in a
/// hundred millions.
fn contains_metadata_v4(address: Ipv6Addr) -> bool {
    let octets = address.octets();
    let without_octet_8 = [&octets[..8], &octets[9..]].concat();
    METADATA_V4.iter().any(|metadata| {
        let contains = |bytes: &[u8]| bytes.windows(4).any(|it| *it == metadata.octets());
        contains(&octets) || contains(&without_octet_8)
    })
}

/// Returns the IPv4 address that an IPv6 address leads to by its mapping, the NAT64 of 64:ff9b::/96, or 6to4.
pub(super) fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: Option<Denial>, addresses: &[&str]) {
        for text in addresses {
            let address: IpAddr = text.parse().expect("address is valid");
            assert_eq!(denial(address), expected, "{text}");
        }
    }

    fn check_special(description: &'static str, addresses: &[&str]) {
        check(Some(Denial::Special(description)), addresses);
    }

    #[test]
    fn metadata_services_are_recognized() {
        check(
            Some(Denial::Metadata),
            &[
                "169.254.169.254",
                "168.63.129.16",
                "100.100.100.200",
                "192.0.0.192",
                "fd00:ec2::254",
                "fd00:ec2::23",
                "fd20:ce::254",
                "fd00:42::42",
                "fd00:c1::a9fe:a9fe",
                "fd00:a9fe:a9fe::1",
                "fe80::a9fe:a9fe",
            ],
        );
    }

    #[test]
    fn metadata_services_behind_translators_are_recognized() {
        check(
            Some(Denial::Metadata),
            &[
                "::ffff:169.254.169.254",
                "::169.254.169.254",
                "::ffff:0:169.254.169.254",
                "64:ff9b::169.254.169.254",
                "64:ff9b:1::169.254.169.254",
                "64:ff9b:1:a9fe:a9:fe00::",
                "64:ff9b:1:fffe:a9:fea9:fe00:0",
                "2002:a9fe:a9fe::1",
                // The prefix lengths of RFC 6052: 32, 40, 48, 56, 64 and 96.
                "2606:2800:a9fe:a9fe::",
                "2606:2800:1a9:fea9:fe::",
                "2606:2800:122:a9fe:a9:fe00::",
                "2606:2800:122:3a9:fe:a9fe::",
                "2606:2800:122:344:a9:fea9:fe00:0",
                "2606:2800:122:344::a9fe:a9fe",
            ],
        );
    }

    #[test]
    fn special_ipv4_blocks_are_denied_to_their_ends() {
        check_special(
            "a loopback address",
            &["0.0.0.0", "0.255.255.255", "127.0.0.1", "127.255.255.255"],
        );
        check_special(
            "a private address",
            &[
                "10.0.0.0",
                "10.255.255.255",
                "100.64.0.0",
                "100.127.255.255",
                "172.16.0.0",
                "172.31.255.255",
                "192.168.0.0",
                "192.168.255.255",
                "198.18.0.0",
                "198.19.255.255",
            ],
        );
        check_special("a link-local address", &["169.254.0.0", "169.254.255.255"]);
        check_special("a multicast address", &["224.0.0.0", "239.255.255.255"]);
        check_special(
            "a reserved address",
            &[
                "192.0.0.0",
                "192.0.0.8",
                "192.0.0.255",
                "192.0.2.0",
                "192.0.2.255",
                "192.88.99.1",
                "198.51.100.0",
                "203.0.113.255",
                "240.0.0.0",
                "255.255.255.255",
            ],
        );
    }

    #[test]
    fn special_ipv6_blocks_are_denied_to_their_ends() {
        check_special("a loopback address", &["::1"]);
        check_special(
            "a private address",
            &[
                "fc00::",
                "fdff:ffff::1",
                "fec0::1",
                "64:ff9b:1::1",
                "64:ff9b:1:ffff::1",
            ],
        );
        check_special("a link-local address", &["fe80::1", "febf:ffff::1"]);
        check_special("a multicast address", &["ff00::", "ff0e::1"]);
        check_special(
            "a reserved address",
            &[
                "::",
                "::2",
                "::127.0.0.1",
                "::ffff:0:8.8.8.8",
                "64:ff9b:2::1",
                "100::1",
                "2001::1",
                "2001:2::1",
                "2001:1ff:ffff::1",
                "2001:db8::1",
                "2001:db8:ffff::1",
                "3fff::1",
                "3fff:fff::1",
                "4000::1",
                "5f00::1",
            ],
        );
    }

    #[test]
    fn embedded_ipv4_addresses_decide() {
        check_special(
            "a loopback address",
            &["::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::1"],
        );
        check_special(
            "a private address",
            &["::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::1"],
        );
        check(
            None,
            &[
                "::ffff:93.184.216.34",
                "64:ff9b::93.184.216.34",
                "2002:5db8:d822::1",
            ],
        );
    }

    #[test]
    fn public_addresses_are_allowed() {
        check(
            None,
            &[
                "1.0.0.0",
                "9.255.255.255",
                "11.0.0.0",
                "93.184.216.34",
                "100.63.255.255",
                "100.128.0.0",
                "126.255.255.255",
                "128.0.0.0",
                "169.253.255.255",
                "172.15.255.255",
                "172.32.0.0",
                "192.0.0.9",
                "192.0.0.10",
                "192.0.1.0",
                "192.31.196.1",
                "192.52.193.1",
                "192.175.48.1",
                "223.255.255.255",
            ],
        );
        check(
            None,
            &[
                "2000::1",
                "2001:1::1",
                "2001:3::1",
                "2001:4:112::1",
                "2001:20::1",
                "2001:3f:ffff::1",
                "2001:200::1",
                "2606:2800:220:1::1",
                "2620:4f:8000::1",
                "3ffe:ffff::1",
                "3fff:1000::1",
            ],
        );
    }
}
