//! The spellings of a character in encoded text.
//!
//! Encoders of text work character by character. A list of spellings per character therefore covers all
//! encoders, even two of them applied in sequence. A list of the encoded secrets would need about a hundred
//! encodings per secret, because encoders differ in the characters that they escape.

use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The spellings of one character, without duplicates.
type Spellings = Box<[Box<[u8]>]>;

/// The characters of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    Any,
    /// The standard alphabet, which also stands for that of URLs.
    Base64,
}

/// Calls `each` with every spelling of the first character of `text`, and returns the length of that
/// character in bytes. A byte that is not UTF-8 counts as a character. `text` must not be empty.
pub(super) fn for_each_spelling(
    text: &[u8],
    alphabet: Alphabet,
    mut each: impl FnMut(&[u8]),
) -> usize {
    static ASCII: LazyLock<Vec<Spellings>> =
        LazyLock::new(|| (0..128).map(|byte| spellings(&[byte])).collect());

    if let Some(cached) = ASCII.get(usize::from(text[0])) {
        cached.iter().for_each(|spelling| each(spelling));
        match (alphabet, text[0]) {
            // The URL alphabet differs in these two characters only (RFC 4648, section 5).
            (Alphabet::Base64, b'+') => each(b"-"),
            (Alphabet::Base64, b'/') => each(b"_"),
            _ => {}
        }
        return 1;
    }
    let len = char_len(text);
    let spellings = spellings(&text[..len]);
    spellings.iter().for_each(|spelling| each(spelling));
    len
}

/// Returns the length of the first character in bytes.
fn char_len(text: &[u8]) -> usize {
    // Only four bytes: validating the whole text for each of its characters would take quadratic
    // time.
    let head = &text[..text.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().next().map_or(1, char::len_utf8)
}

fn spellings(bytes: &[u8]) -> Spellings {
    let mut all = BTreeSet::from([bytes.to_vec()]);
    // No encoder changes ASCII letters and digits.
    if !bytes[0].is_ascii_alphanumeric() {
        all.extend([percent(bytes, false), percent(bytes, true)].map(String::into_bytes));
        if let Some(c) = std::str::from_utf8(bytes)
            .ok()
            .and_then(|it| it.chars().next())
        {
            all.extend(of_char(c).into_iter().map(String::into_bytes));
        }
        let escapes = [byte_escapes(bytes, "\\x", 16), byte_escapes(bytes, "\\", 8)];
        all.extend(escapes.into_iter().flat_map(nested).map(String::into_bytes));
    }
    all.into_iter().map(Vec::into_boxed_slice).collect()
}

fn percent(bytes: &[u8], upper: bool) -> String {
    let one = |byte: &u8| match upper {
        true => format!("%{byte:02X}"),
        false => format!("%{byte:02x}"),
    };
    bytes.iter().map(one).collect()
}

/// Returns the bytes as `\xc3` or `\303`, which shells and `repr` use.
fn byte_escapes(bytes: &[u8], prefix: &str, radix: u32) -> String {
    let one = |byte: &u8| match radix {
        16 => format!("{prefix}{byte:02x}"),
        _ => format!("{prefix}{byte:03o}"),
    };
    bytes.iter().map(one).collect()
}

fn of_char(c: char) -> Vec<String> {
    let mut all: Vec<_> = escapes(c).into_iter().flat_map(nested).collect();
    all.extend(entities(c));
    match c {
        ' ' => all.push("+".to_owned()),
        // The end of a quoted text, a quote, and the start of another: `set -x`, and Python's `shlex`.
        '\'' => all.extend(["'\\''", "'\"'\"'"].map(str::to_owned)),
        _ => {}
    }
    all
}

/// Returns the escapes with a backslash: of JSON, including those for HTML such as `\u0026`, and of shells.
fn escapes(c: char) -> Vec<String> {
    let mut all = vec![utf16(c, false), utf16(c, true)];
    all.extend(match c {
        '\n' => Some("\\n".to_owned()),
        '\r' => Some("\\r".to_owned()),
        '\t' => Some("\\t".to_owned()),
        '\u{8}' => Some("\\b".to_owned()),
        '\u{c}' => Some("\\f".to_owned()),
        c if c == ' ' || c.is_ascii_punctuation() => Some(format!("\\{c}")),
        _ => None,
    });
    all
}

fn utf16(c: char, upper: bool) -> String {
    let mut units = [0; 2];
    let one = |unit: &u16| match upper {
        true => format!("\\u{unit:04X}"),
        false => format!("\\u{unit:04x}"),
    };
    c.encode_utf16(&mut units).iter().map(&one).collect()
}

/// Returns the text, and the text within a JSON string, with and without an escaped `/`.
fn nested(text: String) -> [String; 3] {
    // The backslash first: the second replacement inserts backslashes, which must not be escaped
    // again.
    let outer = text.replace('\\', "\\\\").replace('"', "\\\"");
    let slash = outer.replace('/', "\\/");
    [text, outer, slash]
}

fn entities(c: char) -> Vec<String> {
    let code = u32::from(c);
    let mut all = vec![
        format!("&#{code};"),
        format!("&#{code:03};"),
        format!("&#x{code:x};"),
        format!("&#x{code:X};"),
        format!("&#x{code:02X};"),
    ];
    let name = match c {
        '&' => "amp",
        '<' => "lt",
        '>' => "gt",
        '"' => "quot",
        '\'' => "apos",
        _ => return all,
    };
    all.push(format!("&{name};"));
    all
}
