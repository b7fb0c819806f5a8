//! The parts of a secret that are searched in output.

use std::borrow::Cow;

use serde_json::Value;

/// Maximum length of a searched part in bytes. It bounds the time to compare a part with output, and the
/// bytes that a writer buffers, for secrets of any length.
pub(super) const MAX_PART: usize = 128;
/// Bytes by which adjacent parts of a long secret overlap. Base64 does not reveal the bits at the edges of a
/// part, so that parts without an overlap would leave characters between them in the output.
const OVERLAP: usize = 4;
/// Minimum number of distinct bytes in a value or line that is searched. Others, such as blanks, rulers and
/// zeros, would match ordinary output.
const MIN_DISTINCT: usize = 4;
/// Maximum depth of JSON within strings of JSON.
const MAX_NESTING: usize = 4;

/// Returns the text without trailing line ends, which editors append to files.
pub(super) fn without_line_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !b"\r\n".contains(byte));
    &text[..end.map_or(0, |last| last + 1)]
}

/// Calls `each` with the parts of a secret: the secret itself, and the values of a JSON text or the lines of
/// another text. A part that is longer than [`MAX_PART`] is split into pieces.
pub(super) fn for_each_part(secret: &[u8], min_len: usize, each: &mut impl FnMut(&[u8])) {
    pieces(secret, each);
    for_each_value(secret, min_len, MAX_NESTING, each);
}

fn for_each_value(text: &[u8], min_len: usize, nesting: usize, each: &mut impl FnMut(&[u8])) {
    let mut add = |value: &[u8]| {
        if value.len() >= min_len && !is_trivial(value) {
            pieces(value, each);
            // The limit stops the recursion on a secret that was built to nest deeply.
            if nesting > 0 {
                for_each_value(value, min_len, nesting - 1, each);
            }
        }
    };
    match parse_json(text) {
        Some(json) => strings(&json).for_each(|value| add(value.as_bytes())),
        None => lines(text).for_each(add),
    }
}

/// Returns the lines of a text with several lines, because terminals change line ends and tools indent.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(move |line| line.len() < text.len())
}

fn parse_json(text: &[u8]) -> Option<Value> {
    // Only these contain other values; and most secrets are none of them.
    let first = text.trim_ascii_start().first();
    first.filter(|byte| b"{[\"".contains(byte))?;
    serde_json::from_slice(text).ok()
}

/// Returns the strings and numbers within a JSON value.
fn strings(json: &Value) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
    match json {
        Value::String(text) => Box::new(std::iter::once(Cow::Borrowed(&**text))),
        Value::Number(number) => Box::new(std::iter::once(Cow::Owned(number.to_string()))),
        Value::Array(items) => Box::new(items.iter().flat_map(strings)),
        // Keys are not secrets: `"password"` would be redacted in every log.
        Value::Object(fields) => Box::new(fields.values().flat_map(strings)),
        Value::Null | Value::Bool(_) => Box::new(std::iter::empty()),
    }
}

fn is_trivial(text: &[u8]) -> bool {
    let mut distinct = [0; MIN_DISTINCT];
    let mut len = 0;
    for &byte in text {
        if !distinct[..len].contains(&byte) {
            distinct[len] = byte;
            len += 1;
            if len == MIN_DISTINCT {
                return false;
            }
        }
    }
    true
}

fn pieces(text: &[u8], each: &mut impl FnMut(&[u8])) {
    let mut start = 0;
    while text.len() - start > MAX_PART {
        let end = char_start(text, start + MAX_PART);
        each(&text[start..end]);
        // Advances by at least `MAX_PART / 2 - OVERLAP` bytes less one character, so the loop ends.
        start = piece_start(text, end - OVERLAP);
    }
    // The last piece may be short. It starts earlier then.
    let start = match start {
        0 => 0,
        _ => char_start(text, text.len() - MAX_PART),
    };
    each(&text[start..]);
}

/// Returns the start of a piece, at most half a piece before `at`. Letters and digits have only one spelling,
/// so a piece that starts with them needs less memory.
fn piece_start(text: &[u8], at: usize) -> usize {
    let starts = (at - MAX_PART / 2..=at).rev();
    let plain = |start: &usize| {
        text[*start..]
            .iter()
            .take(2 * OVERLAP)
            .all(u8::is_ascii_alphanumeric)
    };
    starts
        .clone()
        .find(plain)
        .unwrap_or_else(|| char_start(text, at))
}

/// Returns the start of the character that contains the byte at `at`.
fn char_start(text: &[u8], at: usize) -> usize {
    let starts = (at.saturating_sub(3)..=at).rev();
    // A byte `10xxxxxx` continues a character of UTF-8.
    let is_start = |start: &usize| text[*start] & 0b1100_0000 != 0b1000_0000;
    starts.clone().find(is_start).unwrap_or(at)
}
