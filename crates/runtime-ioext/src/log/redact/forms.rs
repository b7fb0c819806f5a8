//! The forms in which a secret may appear.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What common percent-encoders leave as it is besides letters and digits: RFC 3986, JavaScript's
/// `encodeURIComponent`, its `encodeURI`, HTML forms, and none at all.
const LEFT: [&[u8]; 5] = [b"-._~", b"-_.!~*'()", b"-_.!~*'();/?:@&=+$,#", b"*-._", b""];

/// The secret that a text holds. Files end with a line feed that is no part of it.
pub(super) fn without_line_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !b"\r\n".contains(byte));
    &text[..end.map_or(0, |last| last + 1)]
}

/// Every form of a secret, and of each of its lines, that is long enough to be looked for.
pub(super) fn of(secret: &[u8], min_len: usize) -> impl Iterator<Item = Vec<u8>> {
    let lines = secret.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    std::iter::once(secret)
        .chain(lines)
        .filter(move |part| part.len() >= min_len)
        .flat_map(of_one)
        .filter(move |form| form.len() >= min_len)
}

fn of_one(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec()];
    forms.extend((0..3).flat_map(|shift| base64(secret, shift)));
    forms.extend(LEFT.iter().flat_map(|left| percent(secret, left)));
    if let Ok(text) = std::str::from_utf8(secret) {
        forms.extend(json(text));
    }
    forms
}

/// The part of the base64 text that the secret alone decides, if `shift` bytes come before it in its
/// group of three.
fn base64(secret: &[u8], shift: usize) -> [Vec<u8>; 2] {
    let mut shifted = vec![0; shift];
    shifted.extend_from_slice(secret);
    let whole = (shift * 8).div_ceil(6)..shifted.len() * 8 / 6;
    [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|engine| {
        let text = engine.encode(&shifted);
        text.as_bytes()
            .get(whole.clone())
            .unwrap_or_default()
            .to_vec()
    })
}

/// Percent-encoded with capital and small digits, and with a space as `+`.
fn percent(secret: &[u8], left: &[u8]) -> [Vec<u8>; 4] {
    let encode = |digits: &[u8; 16], plus: bool| {
        let one = |&byte: &u8| match byte {
            b' ' if plus => vec![b'+'],
            byte if byte.is_ascii_alphanumeric() || left.contains(&byte) => vec![byte],
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

/// Escaped for a JSON string: as little as allowed, with `\/`, and in ASCII only, each with small and
/// capital digits.
fn json(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for slash in [false, true] {
        for ascii in [false, true] {
            for capital in [false, true] {
                let escape = |c| escape(c, slash, ascii, capital);
                forms.push(secret.chars().flat_map(escape).collect());
            }
        }
    }
    forms
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
    let escaped = c.encode_utf16(&mut units).iter().map(|unit| match capital {
        true => format!("\\u{unit:04X}"),
        false => format!("\\u{unit:04x}"),
    });
    escaped.collect::<String>().into_bytes()
}
