//! The encodings in which a secret is searched.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The characters that common percent-encoders keep in addition to letters and digits: RFC 3986,
/// JavaScript's `encodeURIComponent` and `encodeURI`, HTML forms, and encoders that keep none.
const UNRESERVED: [&[u8]; 5] = [b"-._~", b"-_.!~*'()", b"-_.!~*'();/?:@&=+$,#", b"*-._", b""];

/// Returns the text without trailing line ends, which editors append to files.
pub(super) fn without_line_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !b"\r\n".contains(byte));
    &text[..end.map_or(0, |last| last + 1)]
}

/// Returns the encodings of a secret and of each of its lines. Parts and encodings of less than `min_len`
/// bytes are left out.
pub(super) fn encodings_of(secret: &[u8], min_len: usize) -> impl Iterator<Item = Vec<u8>> {
    let lines = secret.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    std::iter::once(secret)
        .chain(lines)
        .filter(move |part| part.len() >= min_len)
        .flat_map(encode)
        .filter(move |encoding| encoding.len() >= min_len)
}

/// Returns the encodings of one secret, some of which may be equal.
fn encode(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut encodings = vec![secret.to_vec()];
    encodings.extend((0..3).flat_map(|shift| base64(secret, shift)));
    encodings.extend(UNRESERVED.iter().flat_map(|kept| percent(secret, kept)));
    if let Ok(text) = std::str::from_utf8(secret) {
        encodings.extend(json(text));
    }
    encodings
}

/// Returns the base64 characters that the secret alone determines if it starts at `shift` within a group of
/// three bytes, in both alphabets.
///
/// Three bytes become four characters, so the encoding of a secret within a longer text depends on its
/// position modulo three. The characters at both ends also depend on adjacent bytes and are left out.
fn base64(secret: &[u8], shift: usize) -> [Vec<u8>; 2] {
    let mut shifted = vec![0; shift];
    shifted.extend_from_slice(secret);
    // A character encodes 6 bits. The characters outside this range also contain bits of adjacent bytes.
    let whole = (shift * 8).div_ceil(6)..shifted.len() * 8 / 6;
    [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|engine| {
        let text = engine.encode(&shifted);
        text.as_bytes()
            .get(whole.clone())
            .unwrap_or_default()
            .to_vec()
    })
}

/// Percent-encodes all but letters, digits and `kept`, with upper-case and lower-case digits, and with `+`
/// or `%20` for spaces.
fn percent(secret: &[u8], kept: &[u8]) -> [Vec<u8>; 4] {
    let encode = |digits: &[u8; 16], plus: bool| {
        let one = |&byte: &u8| match byte {
            b' ' if plus => vec![b'+'],
            byte if byte.is_ascii_alphanumeric() || kept.contains(&byte) => vec![byte],
            byte => vec![
                b'%',
                digits[usize::from(byte >> 4)],
                digits[usize::from(byte & 15)],
            ],
        };
        secret.iter().flat_map(one).collect()
    };
    [
        encode(b"0123456789ABCDEF", false),
        encode(b"0123456789ABCDEF", true),
        encode(b"0123456789abcdef", false),
        encode(b"0123456789abcdef", true),
    ]
}

/// Escapes a secret for JSON strings, with and without `\/`, all non-ASCII characters and upper-case
/// hexadecimal digits: encoders differ in these.
fn json(secret: &str) -> Vec<Vec<u8>> {
    let mut encodings = Vec::new();
    for slash in [false, true] {
        for ascii in [false, true] {
            for capital in [false, true] {
                let escape = |c| escape(c, slash, ascii, capital);
                encodings.push(secret.chars().flat_map(escape).collect());
            }
        }
    }
    encodings
}

fn escape(c: char, slash: bool, ascii: bool, capital: bool) -> Vec<u8> {
    let short = match c {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '/' if slash => "\\/",
        c if c < ' ' || (ascii && !c.is_ascii()) => return escape_units(c, capital),
        c => return c.to_string().into_bytes(),
    };
    short.as_bytes().to_vec()
}

fn escape_units(c: char, capital: bool) -> Vec<u8> {
    let mut units = [0; 2];
    let escaped = c.encode_utf16(&mut units).iter().map(|unit| {
        if capital {
            format!("\\u{unit:04X}")
        } else {
            format!("\\u{unit:04x}")
        }
    });
    escaped.collect::<String>().into_bytes()
}
