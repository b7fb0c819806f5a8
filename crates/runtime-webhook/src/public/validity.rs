//! The validity period of a certificate.

use std::str;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

// DER tags.
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// The validity period of a certificate.
///
/// Parsed here, since rustls does not expose it and a complete X.509 parser is a large dependency for two
/// fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Validity {
    /// Parses a certificate in DER.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let (_, certificate, _) = element(der)?;
        let (_, content, _) = element(certificate)?;
        let (tag, _, after_first) = element(content)?;
        // The version is optional: version 1 starts with the serial number.
        let serial = if tag == VERSION { after_first } else { content };
        let (_, _, algorithm) = element(serial)?;
        let (_, _, issuer) = element(algorithm)?;
        let (_, _, validity) = element(issuer)?;
        let (_, validity, _) = element(validity)?;
        let (start_tag, start, end) = element(validity)?;
        let (end_tag, end, _) = element(end)?;
        Some(Self {
            start: parse_time(start_tag, start)?,
            end: parse_time(end_tag, end)?,
        })
    }
}

/// Splits the first element off and returns its tag, its content and the remaining bytes.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (len, rest) = match first.checked_sub(0x80) {
        None => (usize::from(first), rest),
        // Long form: the number of length bytes, then the length.
        Some(count @ 1..=4) => {
            let (bytes, rest) = rest.split_at_checked(usize::from(count))?;
            let add = |len, byte: &u8| (len << 8) | usize::from(*byte);
            (bytes.iter().fold(0, add), rest)
        }
        Some(_) => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

/// Parses `YYMMDDHHMMSSZ`, for the years 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn parse_time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let text = str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (year + if year < 50 { 2000 } else { 1900 }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let time = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0);
    let time = TimeZone::UTC.to_timestamp(time.ok()?).ok()?;
    (rest.len() == 10).then_some(time)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(last_year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2024, 2, 29);
        params.not_after = date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        certificate.der().to_vec()
    }

    #[test]
    fn both_time_formats_are_parsed() {
        for year in [2049, 2050] {
            let validity = Validity::parse(&certificate(year)).expect("a certificate");
            assert_eq!(validity.start.to_string(), "2024-02-29T00:00:00Z");
            assert_eq!(validity.end.to_string(), format!("{year}-12-31T00:00:00Z"));
        }
    }

    #[test]
    fn truncated_certificate_is_rejected() {
        let whole = certificate(2049);
        for len in 0..whole.len() {
            assert_eq!(Validity::parse(&whole[..len]), None, "{len}");
        }
    }

    #[test]
    fn invalid_time_is_rejected() {
        for text in [
            "240229000000",
            "24022900000Z",
            "240230000000Z",
            "é4022900000Z",
            "+10229000000Z",
        ] {
            assert_eq!(parse_time(UTC_TIME, text.as_bytes()), None, "{text}");
        }
    }
}
