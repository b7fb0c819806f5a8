//! The addresses that a sandbox with outgoing connections cannot reach.
//!
//! A policy of the network ("XFRM", made for IPsec) blocks all packets to these addresses. Reject routes would not be
//! sufficient: the kernel ignores them for a socket that is bound to an interface, and binding needs no privileges. The
//! loopback interface has no policies, so local connections work.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// An address and the length of its prefix.
type Ipv4Block = (Ipv4Addr, u8);

/// All of IPv6: `pasta` does not forward it, but the kernel gives the interface an address for neighbours.
const ALL_IPV6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The message `XFRM_MSG_NEWPOLICY`, as a request with an answer that creates.
const NEW_POLICY: u16 = 0x13;
const REQUEST_FLAGS: u16 = 0x405;

/// The lengths of `struct nlmsghdr` and `struct xfrm_userpolicy_info`.
const HEADER_LEN: usize = 16;
const POLICY_LEN: usize = 168;

/// Addresses of the machine's own network, of services of clouds for their machines, and of groups.
const CLOSED: [Ipv4Block; 7] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Metadata of nearly all clouds, and credentials of containers.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Azure, Alibaba and Oracle.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(100, 100, 100, 200), 32),
    (Ipv4Addr::new(192, 0, 0, 192), 32),
    // Multicast and reserved.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Closes these addresses, all of this machine, and IPv6, given a socket for policies of the sandbox's network.
pub(crate) fn close_addresses(policies: impl AsFd) -> io::Result<()> {
    for (address, prefix) in closed_blocks()? {
        add_policy(&policies, &block_policy(address.into(), prefix))?;
    }
    match add_policy(&policies, &block_policy(ALL_IPV6, 0)) {
        // The kernel has no IPv6.
        Err(Errno::AFNOSUPPORT) => Ok(()),
        added => Ok(added?),
    }
}

/// Sends a message to the kernel, and reads its answer.
fn add_policy(policies: impl AsFd, message: &[u8]) -> Result<(), Errno> {
    send(&policies, message, SendFlags::empty())?;
    // The kernel has answered before the call returns.
    let mut answer = [0; HEADER_LEN + 4];
    let (len, _) = recv(
        &policies,
        &mut answer,
        RecvFlags::DONTWAIT | RecvFlags::TRUNC,
    )?;
    let error = answer[HEADER_LEN..]
        .first_chunk()
        .filter(|_| len >= answer.len());
    match error.map_or(-libc::EPROTO, |error| i32::from_ne_bytes(*error)) {
        0 => Ok(()),
        error => Err(Errno::from_raw_os_error(error.saturating_neg())),
    }
}

/// Returns the message that blocks packets to a block of addresses.
fn block_policy(address: IpAddr, prefix: u8) -> [u8; HEADER_LEN + POLICY_LEN] {
    const OUT: u8 = 1;
    const BLOCK: u8 = 1;
    let mut message = [0; HEADER_LEN + POLICY_LEN];
    message[..4].copy_from_slice(&((HEADER_LEN + POLICY_LEN) as u32).to_ne_bytes());
    message[4..6].copy_from_slice(&NEW_POLICY.to_ne_bytes());
    message[6..8].copy_from_slice(&REQUEST_FLAGS.to_ne_bytes());
    let policy = &mut message[HEADER_LEN..];
    // `struct xfrm_selector`: the target, and at offset 40 its family and prefix.
    let family = match address {
        IpAddr::V4(address) => {
            policy[..4].copy_from_slice(&address.octets());
            libc::AF_INET
        }
        IpAddr::V6(address) => {
            policy[..16].copy_from_slice(&address.octets());
            libc::AF_INET6
        }
    };
    policy[40..42].copy_from_slice(&(family as u16).to_ne_bytes());
    policy[42] = prefix;
    // `struct xfrm_lifetime_cfg`: no limits of bytes and packets.
    policy[56..88].fill(0xff);
    policy[160] = OUT;
    policy[161] = BLOCK;
    message
}

/// Returns the addresses that stay closed: those above, and all of this machine.
fn closed_blocks() -> io::Result<Vec<Ipv4Block>> {
    let mut blocks = CLOSED.to_vec();
    blocks.extend(own_addresses(&fs::read_to_string("/proc/net/fib_trie")?));
    blocks.sort_unstable();
    // Two equal policies would be an error.
    blocks.dedup();
    Ok(blocks)
}

/// Returns the addresses of all interfaces, given the table of local routes: a line with an address precedes one with
/// its prefix and kind.
fn own_addresses(fib_trie: &str) -> Vec<Ipv4Block> {
    let mut addresses = Vec::new();
    let mut latest = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            latest = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            addresses.extend(latest.map(|address| (address, 32)));
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_are_found() {
        let table = "\
Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
           |-- 192.0.2.0
              /24 link UNICAST
           |-- 192.0.2.2
              /32 link BROADCAST
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
";
        let loopback = (Ipv4Addr::LOCALHOST, 32);
        let own = (Ipv4Addr::new(192, 0, 2, 2), 32);
        assert_eq!(own_addresses(table), [loopback, own]);
        assert_eq!(own_addresses("|-- x\n/32 host LOCAL\n/32 host"), []);
    }

    #[test]
    fn blocks_are_unique() -> io::Result<()> {
        let blocks = closed_blocks()?;
        assert!(CLOSED.iter().all(|block| blocks.contains(block)));
        assert!(blocks.windows(2).all(|pair| pair[0] < pair[1]));
        Ok(())
    }
}
