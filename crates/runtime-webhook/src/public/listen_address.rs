//! The address that a server listens on.

use std::net::IpAddr;

use super::error::PublicError;

/// An address of this machine, or the name of a network interface.
#[derive(Clone, Debug)]
pub(super) enum ListenAddress {
    Ip(IpAddr),
    Interface(String),
}

impl ListenAddress {
    pub(super) fn resolve(&self) -> Result<IpAddr, PublicError> {
        let name = match self {
            Self::Ip(address) => return Ok(*address),
            Self::Interface(name) => name,
        };
        let interfaces = if_addrs::get_if_addrs().map_err(PublicError::Interfaces)?;
        let matching = interfaces
            .iter()
            .filter(|interface| interface.name == *name);
        // The minimum prefers IPv4, which sorts before IPv6.
        let address = matching.map(|interface| interface.addr.ip()).min();
        address.ok_or_else(|| PublicError::NoInterface {
            name: name.clone(),
            known: list_names(&interfaces),
        })
    }
}

fn list_names(interfaces: &[if_addrs::Interface]) -> String {
    let names = interfaces.iter().map(|interface| interface.name.as_str());
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}
