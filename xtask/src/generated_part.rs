//! Parts of pages that a task generates, such as tables of measurements.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// A part of a page between the lines `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
pub(crate) struct GeneratedPart<'a> {
    pub(crate) page: &'a str,
    pub(crate) name: &'a str,
}

impl GeneratedPart<'_> {
    /// Returns the text of the page with new content between the two lines.
    pub(crate) fn replace(&self, text: &str, content: &str) -> Result<String> {
        let Self { page, name } = self;
        let (begin, end) = (
            format!("<!-- {name}:begin -->"),
            format!("<!-- {name}:end -->"),
        );
        let replaced = text.split_once(&begin).and_then(|(head, rest)| {
            let (_, tail) = rest.split_once(&end)?;
            Some(format!("{head}{begin}\n{content}{end}{tail}"))
        });
        replaced.with_context(|| format!("{page} has no part between `{begin}` and `{end}`"))
    }

    /// Writes new content into the page.
    pub(crate) fn write(&self, sh: &Shell, content: &str) -> Result<()> {
        let text = self.replace(&sh.read_file(self.page)?, content)?;
        sh.write_file(self.page, text)?;
        println!("{}: written", self.page);
        Ok(())
    }
}

/// Returns the current date in UTC, such as `2026-01-31`.
pub(crate) fn today(sh: &Shell) -> Result<String> {
    Ok(cmd!(sh, "date -u +%Y-%m-%d").quiet().read()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: GeneratedPart<'_> = GeneratedPart {
        page: "a.md",
        name: "t",
    };

    #[test]
    fn text_outside_the_part_is_kept() {
        let text = "# Title\n<!-- t:begin -->\nold\nrows\n<!-- t:end -->\nmore\n";
        let replaced = PART.replace(text, "new\n").expect("both lines exist");
        let expected = "# Title\n<!-- t:begin -->\nnew\n<!-- t:end -->\nmore\n";
        assert_eq!(replaced, expected);
        let again = PART.replace(&replaced, "new\n").expect("both lines exist");
        assert_eq!(again, expected);
    }

    #[test]
    fn missing_line_is_an_error() {
        assert!(PART.replace("<!-- t:begin -->", "new").is_err());
        assert!(PART.replace("<!-- t:end -->", "new").is_err());
    }
}
