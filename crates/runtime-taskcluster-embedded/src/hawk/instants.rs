//! Instants that no clock can tell, which crate `hawk` would add to the epoch without looking, and panic.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// Decodes whatever a bewit may look like.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Refuses a header or a bewit with such an instant.
pub(super) fn check(resource: &str, authorization: Option<&str>) -> Result<(), String> {
    let query = resource.split_once('?').map_or("", |(_, query)| query);
    let mut bewits = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("bewit="));
    if bewits.any(|bewit| !is_sane_bewit(bewit)) {
        return Err("Unauthorized: the expiration of the bewit is no time".to_owned());
    }
    match authorization {
        Some(header) if !is_sane_header(header) => Err("Bad Request: `ts` is no time".to_owned()),
        _ => Ok(()),
    }
}

fn is_sane_bewit(bewit: &str) -> bool {
    let Ok(bytes) = LENIENT.decode(bewit) else {
        return true;
    };
    let second = bytes
        .split(|byte| *byte == b'\\')
        .nth(1)
        .unwrap_or_default();
    is_sane(&String::from_utf8_lossy(second))
}

fn is_sane_header(header: &str) -> bool {
    header.match_indices("ts").all(|(at, name)| {
        let rest = header[at + name.len()..].trim_start();
        let value = rest.strip_prefix('=').unwrap_or_default();
        let value = value.trim_start_matches([' ', '\t', '"']);
        is_sane(value.split('"').next().unwrap_or_default())
    })
}

/// What is no number at all is refused later, and better.
fn is_sane(second: &str) -> bool {
    second
        .trim()
        .parse::<u64>()
        .map_or(true, |second| second <= LAST_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_beyond_every_clock_are_refused() {
        let bewit = |second: &str| {
            format!(
                "/a?b=1&bewit={}",
                LENIENT.encode(format!("id\\{second}\\m\\"))
            )
        };
        assert!(check(&bewit("1795000000"), None).is_ok());
        assert!(check(&bewit("18446744073709551615"), None).is_err());
        assert!(check(&bewit("no number"), None).is_ok());
        let header = |second: &str| format!("Hawk id=\"accounts\", ts=\"{second}\", nonce=\"a\"");
        assert!(check("/a", Some(&header("1795000000"))).is_ok());
        assert!(check("/a", Some(&header("9223372036854775807"))).is_err());
        assert!(check("/a", Some("Hawk ts = \"+9223372036854775807\"")).is_err());
    }
}
