//! Renders the output of terminals: colours and overwritten lines.

use maud::{Markup, PreEscaped, html};

/// Renders whole lines of a log. Styles last until they are reset, but not beyond the text.
pub(in crate::status) fn render(text: &str) -> Markup {
    let mut style = Style::default();
    let mut markup = String::new();
    for line in text.split_inclusive('\n') {
        for (text, style) in pieces(visible_part(line), &mut style) {
            markup.push_str(&piece(text, style).into_string());
        }
    }
    PreEscaped(markup)
}

fn piece(text: &str, style: Style) -> Markup {
    let classes = style.classes();
    html! {
        @if classes.is_empty() { (text) } @else { span class=(classes) { (text) } }
    }
}

/// Returns the part of a line after the last carriage return within it, which overwrites the rest.
fn visible_part(line: &str) -> &str {
    let content = line.trim_end_matches(['\r', '\n']);
    let start = content.rfind('\r').map_or(0, |at| at + 1);
    // With the end of the line, whose carriage returns show nothing.
    &line[start..]
}

/// Splits a line at its escape sequences, which change the style or are omitted.
fn pieces<'a>(mut line: &'a str, style: &mut Style) -> Vec<(&'a str, Style)> {
    let mut pieces = Vec::new();
    while let Some(at) = line.find('\x1b') {
        pieces.push((&line[..at], *style));
        let sequence = &line[at + 1..];
        let length = sequence_length(sequence);
        let (sequence, rest) = sequence.split_at(length);
        if let Some(codes) = sequence
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix('m'))
        {
            style.apply(codes);
        }
        line = rest;
    }
    pieces.push((line, *style));
    pieces.retain(|(text, _)| !text.is_empty());
    pieces
}

/// Returns the length of an escape sequence without the escape character. An incomplete one ends with the line.
fn sequence_length(sequence: &str) -> usize {
    let end_after = |start: usize, is_end: fn(char) -> bool| {
        let rest = &sequence[start..];
        let end = rest.find(|c: char| is_end(c) || c == '\n');
        end.map_or(sequence.len(), |at| {
            let last = rest[at..].chars().next().filter(|c| *c != '\n');
            start + at + last.map_or(0, char::len_utf8)
        })
    };
    match sequence.chars().next() {
        // Styles and cursor movements.
        Some('[') => end_after(1, |c| ('@'..='~').contains(&c)),
        // Titles and links, up to BEL or the escape character of the terminator.
        Some(']') => {
            let end = sequence.find(['\x07', '\x1b', '\n']);
            let end = end.unwrap_or(sequence.len());
            end + usize::from(sequence[end..].starts_with('\x07'))
        }
        Some(' '..='~') => end_after(0, |c| ('0'..='~').contains(&c)),
        _ => 0,
    }
}

/// The style of a piece of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Style {
    is_bold: bool,
    is_dim: bool,
    is_underlined: bool,
    /// One of the 16 basic colours.
    front: Option<u8>,
    back: Option<u8>,
}

impl Style {
    fn apply(&mut self, codes: &str) {
        let mut codes = codes
            .split([';', ':'])
            .map(|code| code.parse().unwrap_or(0_u8));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1 => self.is_bold = true,
                2 => self.is_dim = true,
                4 => self.is_underlined = true,
                22 => (self.is_bold, self.is_dim) = (false, false),
                24 => self.is_underlined = false,
                30..=37 => self.front = Some(code - 30),
                90..=97 => self.front = Some(code - 90 + 8),
                38 => self.front = extended(&mut codes),
                39 => self.front = None,
                40..=47 => self.back = Some(code - 40),
                100..=107 => self.back = Some(code - 100 + 8),
                48 => self.back = extended(&mut codes),
                49 => self.back = None,
                _ => {}
            }
        }
    }

    /// Returns CSS classes. The content policy of the page forbids inline styles.
    fn classes(self) -> String {
        let flags = [
            (self.is_bold, "bold"),
            (self.is_dim, "dim"),
            (self.is_underlined, "underline"),
        ];
        let flags = flags.into_iter().filter(|(is_set, _)| *is_set);
        let colours = [("f", self.front), ("k", self.back)];
        let colours = colours
            .into_iter()
            .filter_map(|(side, colour)| Some(format!("{side}{}", colour?)));
        let classes: Vec<_> = flags
            .map(|(_, class)| class.to_owned())
            .chain(colours)
            .collect();
        classes.join(" ")
    }
}

/// Returns the basic colour nearest to one of the palette or of 24 bits.
fn extended(codes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    match codes.next()? {
        5 => Some(match codes.next()? {
            basic @ 0..=15 => basic,
            grey @ 232..=255 => nearest([8 + 10 * (grey - 232); 3]),
            cube => {
                let level = |digit: u8| if digit == 0 { 0 } else { 55 + 40 * digit };
                let cube = cube - 16;
                nearest([level(cube / 36), level(cube / 6 % 6), level(cube % 6)])
            }
        }),
        2 => Some(nearest([codes.next()?, codes.next()?, codes.next()?])),
        _ => None,
    }
}

fn nearest(rgb: [u8; 3]) -> u8 {
    let bits = rgb.map(|part| u8::from(part > 100));
    let bright = u8::from(rgb.iter().any(|part| *part > 200)) * 8;
    bits[0] + 2 * bits[1] + 4 * bits[2] + bright
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, html: &str) {
        assert_eq!(render(text).into_string(), html, "{text:?}");
    }

    #[test]
    fn colours_become_classes() {
        check("a\x1b[31mred\x1b[0m b", "a<span class=\"f1\">red</span> b");
        check(
            "\x1b[1;92;44mx\x1b[22;39my",
            "<span class=\"bold f10 k4\">x</span><span class=\"k4\">y</span>",
        );
        check(
            "\x1b[32mone\ntwo",
            "<span class=\"f2\">one\n</span><span class=\"f2\">two</span>",
        );
        check("\x1b[38;5;196mx\x1b[m", "<span class=\"f9\">x</span>");
        check(
            "\x1b[38;2;0;0;150;4mx",
            "<span class=\"underline f4\">x</span>",
        );
    }

    #[test]
    fn other_sequences_are_omitted() {
        check("\x1b[2K\x1b[1Gdone\x1b[?25h", "done");
        check("\x1b]0;title\x07text", "text");
        check(
            "\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\",
            "link",
        );
        check("\x1b(Bx", "x");
    }

    #[test]
    fn incomplete_sequence_ends_with_the_line() {
        check("a\x1b[3", "a");
        check("a\x1b[3\nb", "a\nb");
        check("a\x1b]0;t\nb", "a\nb");
        check("a\x1b", "a");
        check("a\x1bé", "aé");
    }

    #[test]
    fn carriage_return_overwrites() {
        check("10%\r20%\r30%\nend\r\n", "30%\nend\r\n");
        check("\r\rx", "x");
    }

    #[test]
    fn markup_is_escaped() {
        check("\x1b[31m<b>&", "<span class=\"f1\">&lt;b&gt;&amp;</span>");
    }
}
