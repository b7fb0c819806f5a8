//! Rules for doc comments: one spelling of the section on dropped futures, and that section on every async function.

use super::Problem;
use super::files::File;
use super::sources::is_library;

const SECTION: &str = "# Cancel safety";

/// Checks one file.
pub(super) fn check(file: &File) -> Vec<Problem> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut problems = misspelled(file, &lines);
    if is_library(&file.path) {
        problems.extend(undocumented(file, &lines));
    }
    problems
}

fn misspelled(file: &File, lines: &[&str]) -> Vec<Problem> {
    let headings = lines
        .iter()
        .zip(1..)
        .filter_map(|(line, number)| Some((doc_text(line)?, number)));
    let wrong = headings.filter(|(text, _)| is_cancel_heading(text) && *text != SECTION);
    wrong
        .map(|(text, number)| {
            Problem::new(
                &file.path,
                number,
                format!("`{text}` is spelled `{SECTION}` here"),
            )
        })
        .collect()
}

fn is_cancel_heading(text: &str) -> bool {
    let text = text.to_lowercase();
    text.starts_with('#') && text.contains("cancel") && text.contains("safe")
}

/// What a doc comment says on this line.
fn doc_text(line: &str) -> Option<&str> {
    let line = line.trim_start();
    Some(
        line.strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"))?
            .trim(),
    )
}

fn undocumented(file: &File, lines: &[&str]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut trait_indent = None;
    for (index, line) in lines
        .iter()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
    {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with("pub trait ") {
            trait_indent = Some(indent);
        } else if line.trim_start().starts_with('}') && trait_indent == Some(indent) {
            trait_indent = None;
        }
        let name = public_async_fn(line, trait_indent.is_some());
        if let Some(name) = name.filter(|_| !has_section(&lines[..index])) {
            problems.push(Problem::new(
                &file.path,
                index + 1,
                format!("`{name}` is async and has no `{SECTION}` section"),
            ));
        }
    }
    problems
}

/// The name of the public async function that begins on this line.
fn public_async_fn(line: &str, in_public_trait: bool) -> Option<&str> {
    let line = line.trim_start();
    let line = if in_public_trait {
        line
    } else {
        line.strip_prefix("pub ")?
    };
    line.strip_prefix("async fn ")?.split(['(', '<']).next()
}

/// Says whether the doc comment that ends the lines has the section; attributes may stand between.
fn has_section(above: &[&str]) -> bool {
    let block = above
        .iter()
        .rev()
        .map(|line| line.trim())
        .take_while(|line| {
            line.starts_with("//") || !(line.is_empty() || line.ends_with(['{', '}', ';']))
        });
    block.filter_map(doc_text).any(|text| text == SECTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that the rules are broken on these lines and no others.
    fn expect_problems(code: &str, lines: &[usize]) {
        let file = File {
            path: "crates/a/src/b.rs".into(),
            text: code.into(),
        };
        let found: Vec<usize> = check(&file).iter().map(|problem| problem.line).collect();
        assert_eq!(found, lines, "in {}", file.text);
    }

    #[test]
    fn the_section_has_one_spelling() {
        expect_problems(
            "/// # Cancel safety\n/// # Cancel Safety\n//! # Cancellation safety\n",
            &[2, 3],
        );
        expect_problems("/// Cancel safety is not a heading here.\n", &[]);
    }

    #[test]
    fn a_public_async_function_needs_the_section() {
        expect_problems("/// Waits.\npub async fn wait() {}\n", &[2]);
        expect_problems(
            "/// Waits.\n///\n/// # Cancel safety\n///\n/// Yes.\n#[inline]\npub async fn wait() {}\n",
            &[],
        );
    }

    #[test]
    fn the_section_of_another_function_does_not_count() {
        let code = "/// # Cancel safety\npub async fn one() {\n}\npub async fn two() {}\n";
        expect_problems(code, &[4]);
    }

    #[test]
    fn methods_of_a_public_trait_are_public() {
        let code = "pub trait A {\n    async fn f(&self);\n}\nimpl A for B {\n    async fn f(&self) {}\n}\n";
        expect_problems(code, &[2]);
        expect_problems("trait A {\n    async fn f(&self);\n}\n", &[]);
        expect_problems("pub(crate) async fn f() {}\n", &[]);
    }
}
