//! The hosts that references of tasks may reach although the SSRF guard denies their addresses.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A host, domain, address or block of addresses that references of tasks may reach although the guard
/// [denies](crate::AddressPolicy::Guarded) its addresses.
///
/// | text | allows |
/// | --- | --- |
/// | `mirror.corp.example` | the host of this name, whatever its addresses |
/// | `.corp.example` | all hosts of the domain, whatever their addresses |
/// | `10.1.2.3`, `fd00::1` | the address, by any name |
/// | `10.0.0.0/8`, `fd00::/8` | the addresses of the block, except those of this machine and of metadata services |
///
/// ```
/// use runtime_fetcher::{AllowedHost, FetchConfig};
///
/// let config = FetchConfig {
///     allowed_hosts: vec![".corp.example".parse()?, "10.0.0.0/8".parse()?],
///     ..FetchConfig::default()
/// };
/// let error = "10.0.0.0/33".parse::<AllowedHost>().unwrap_err();
/// assert!(error.to_string().contains("prefix length of at most 32"), "{error}");
/// # drop(config);
/// # Ok::<(), runtime_fetcher::AllowedHostError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AllowedHost(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// In lower case.
    Name(String),
    /// In lower case, with its leading dot.
    Domain(String),
    Address(IpAddr),
    Block {
        start: IpAddr,
        prefix_length: u8,
    },
}

/// The error for an entry of the allow-list that is neither a name, nor a domain, an address or a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid host `{text}`: {reason}; expected a name, a domain such as `.example.com`, an address, or a block such as \
     `10.0.0.0/8`"
)]
pub struct AllowedHostError {
    text: String,
    reason: String,
}

impl AllowedHost {
    /// Returns whether the entry names a host, which may then have any address.
    pub(crate) fn matches_name(&self, host: &str) -> bool {
        match &self.0 {
            Pattern::Name(name) => name == host,
            Pattern::Domain(domain) => host.ends_with(domain.as_str()),
            Pattern::Address(_) | Pattern::Block { .. } => false,
        }
    }

    pub(crate) fn matches_address(&self, address: IpAddr) -> bool {
        matches!(&self.0, Pattern::Address(allowed) if *allowed == address.to_canonical())
    }

    pub(crate) fn is_block_with(&self, address: IpAddr) -> bool {
        match &self.0 {
            Pattern::Block {
                start,
                prefix_length,
            } => is_in_block(address.to_canonical(), *start, *prefix_length),
            _ => false,
        }
    }
}

/// Returns whether an address is in the block of addresses that share the first bits of `start`.
pub(crate) fn is_in_block(address: IpAddr, start: IpAddr, prefix_length: u8) -> bool {
    let differing_bits = match (address, start) {
        (IpAddr::V4(address), IpAddr::V4(start)) => {
            (address.to_bits() ^ start.to_bits()).leading_zeros()
        }
        (IpAddr::V6(address), IpAddr::V6(start)) => {
            (address.to_bits() ^ start.to_bits()).leading_zeros()
        }
        _ => return false,
    };
    differing_bits >= prefix_length.into()
}

impl FromStr for AllowedHost {
    type Err = AllowedHostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pattern = match text.split_once('/') {
            Some((start, prefix_length)) => parse_block(start, prefix_length),
            None => parse_host(text),
        };
        pattern.map(Self).map_err(|reason| AllowedHostError {
            text: text.to_owned(),
            reason,
        })
    }
}

fn parse_block(start: &str, prefix_length: &str) -> Result<Pattern, String> {
    let start: IpAddr = start
        .parse()
        .map_err(|_| "a block must start with an address".to_owned())?;
    let max = if start.is_ipv4() { 32 } else { 128 };
    match prefix_length.parse() {
        Ok(prefix_length) if prefix_length <= max => Ok(Pattern::Block {
            start,
            prefix_length,
        }),
        _ => Err(format!("a block needs a prefix length of at most {max}")),
    }
}

fn parse_host(text: &str) -> Result<Pattern, String> {
    let unbracketed = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    if let Ok(address) = unbracketed.unwrap_or(text).parse::<IpAddr>() {
        return Ok(Pattern::Address(address.to_canonical()));
    }
    // The parser of URLs normalizes names like those that they are compared with.
    let name = text.strip_prefix('.').unwrap_or(text);
    match url::Host::parse(name) {
        Ok(url::Host::Domain(domain)) => {
            let domain = domain.trim_end_matches('.');
            Ok(if text.starts_with('.') {
                Pattern::Domain(format!(".{domain}"))
            } else {
                Pattern::Name(domain.to_owned())
            })
        }
        Ok(_) => Err("unusual form of an address".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl TryFrom<String> for AllowedHost {
    type Error = AllowedHostError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AllowedHost> for String {
    fn from(host: AllowedHost) -> Self {
        host.to_string()
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Name(text) | Pattern::Domain(text) => f.write_str(text),
            Pattern::Address(address) => address.fmt(f),
            Pattern::Block {
                start,
                prefix_length,
            } => write!(f, "{start}/{prefix_length}"),
        }
    }
}

impl JsonSchema for AllowedHost {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AllowedHost".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> AllowedHost {
        text.parse().expect(text)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn names_and_domains_match_hosts() {
        let host = parse("Mirror.Example.com.");
        assert!(host.matches_name("mirror.example.com"));
        assert!(!host.matches_name("a.mirror.example.com"));
        let domain = parse(".example.com");
        assert!(domain.matches_name("a.b.example.com"));
        assert!(!domain.matches_name("example.com") && !domain.matches_name("anexample.com"));
        assert!(parse("bücher.example").matches_name("xn--bcher-kva.example"));
    }

    #[test]
    fn addresses_match_exactly() {
        assert!(parse("10.1.2.3").matches_address(address("10.1.2.3")));
        assert!(parse("10.1.2.3").matches_address(address("::ffff:10.1.2.3")));
        assert!(!parse("10.1.2.3").matches_address(address("10.1.2.4")));
        assert!(parse("[fd00::1]").matches_address(address("fd00::1")));
        assert!(!parse("10.1.2.3/32").matches_address(address("10.1.2.3")));
    }

    #[test]
    fn blocks_contain_addresses() {
        for (block, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::ffff:11.0.0.1"),
            ("192.168.1.77/24", "192.168.1.1", "192.168.2.77"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.2"),
            ("0.0.0.0/0", "255.1.1.1", "::1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("::/0", "fe80::1", "1.1.1.1"),
        ] {
            assert!(parse(block).is_block_with(address(inside)), "{block}");
            assert!(!parse(block).is_block_with(address(outside)), "{block}");
        }
    }

    #[test]
    fn text_survives_serialization() {
        for text in ["a.example", ".example", "10.1.2.3", "fd00::1", "10.0.0.0/8"] {
            let json = serde_json::to_value(parse(text)).expect("it serializes");
            assert_eq!(json, text);
            assert_eq!(serde_json::from_value(json).ok(), Some(parse(text)));
        }
    }

    #[test]
    fn malformed_entries_are_errors() {
        for text in [
            "",
            ".",
            "a b",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "fd00::/129",
            "a.example/8",
            "0x7f.1",
            "http://a.example",
        ] {
            let error = text.parse::<AllowedHost>().expect_err(text);
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
    }
}
