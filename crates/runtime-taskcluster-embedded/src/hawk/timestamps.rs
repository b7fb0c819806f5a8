//! Rejects timestamps that make the crate `hawk` panic.
//!
//! The crate adds the timestamp of a header or a bewit to the Unix epoch without an overflow check,
//! before any signature is verified. So the values are checked here, in the raw text.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The end of the year 9999, in seconds since 1970.
const MAX_TIMESTAMP: u64 = 253_402_300_799;

/// Decodes every bewit that the crate decodes, and more.
const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Fails if the header or a bewit has a timestamp out of range.
pub(super) fn check(resource: &str, authorization: Option<&str>) -> Result<(), String> {
    let query = resource.split_once('?').map_or("", |(_, query)| query);
    let mut bewits = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("bewit="));
    if !bewits.all(is_bewit_in_range) {
        return Err("Unauthorized: the expiration of the bewit is out of range".to_owned());
    }
    if !authorization.is_none_or(is_header_in_range) {
        return Err("Bad Request: `ts` is out of range".to_owned());
    }
    Ok(())
}

fn is_bewit_in_range(bewit: &str) -> bool {
    let Ok(bytes) = LENIENT_BASE64.decode(bewit) else {
        return true;
    };
    // The format is `id\exp\mac\ext`.
    let mut fields = bytes.split(|byte| *byte == b'\\');
    let expiration = fields.nth(1).unwrap_or_default();
    is_in_range(&String::from_utf8_lossy(expiration))
}

/// Checks everything that may be a `ts` attribute, which includes the end of other words.
fn is_header_in_range(header: &str) -> bool {
    header.match_indices("ts").all(|(at, name)| {
        let rest = header[at + name.len()..].trim_start();
        let value = rest.strip_prefix('=').unwrap_or_default();
        let value = value.trim_start_matches([' ', '\t', '"']);
        is_in_range(value.split('"').next().unwrap_or_default())
    })
}

/// Accepts text that is not a number: the crate rejects it with a better message.
fn is_in_range(seconds: &str) -> bool {
    let seconds = seconds.trim().parse::<u64>();
    seconds.map_or(true, |seconds| seconds <= MAX_TIMESTAMP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_bewit_is_rejected() {
        let bewit = |expiration: &str| {
            let bewit = LENIENT_BASE64.encode(format!("id\\{expiration}\\m\\"));
            format!("/a?b=1&bewit={bewit}")
        };
        assert!(check(&bewit("1795000000"), None).is_ok());
        assert!(check(&bewit("18446744073709551615"), None).is_err());
        assert!(check(&bewit("not a number"), None).is_ok());
    }

    #[test]
    fn out_of_range_header_is_rejected() {
        let header = |ts: &str| format!("Hawk id=\"accounts\", ts=\"{ts}\", nonce=\"a\"");
        assert!(check("/a", Some(&header("1795000000"))).is_ok());
        assert!(check("/a", Some(&header("9223372036854775807"))).is_err());
        assert!(check("/a", Some("Hawk ts = \"+9223372036854775807\"")).is_err());
    }
}
