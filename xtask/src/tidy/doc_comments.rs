//! Rules for doc comments: a `# Cancel safety` section on every public async function, in one spelling.

use crate::files::File;
use crate::tidy::Problem;

const SECTION: &str = "# Cancel safety";

/// Checks one source.
pub(super) fn check(file: &File) -> Vec<Problem> {
    let mut problems = misspelled(file);
    if file.is_library_source() {
        problems.extend(undocumented(file));
    }
    problems
}

fn misspelled(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        let heading = doc_text(line).filter(|text| is_cancel_heading(text));
        if let Some(text) = heading.filter(|text| *text != SECTION) {
            let message = format!("`{text}` should be `{SECTION}`");
            problems.push(Problem::new(&file.path, number, message));
        }
    }
    problems
}

fn is_cancel_heading(text: &str) -> bool {
    let text = text.to_lowercase();
    text.starts_with('#') && text.contains("cancel") && text.contains("safe")
}

/// Returns the text of a line of a doc comment.
fn doc_text(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line.strip_prefix("///").or(line.strip_prefix("//!"))?;
    Some(text.trim())
}

fn undocumented(file: &File) -> Vec<Problem> {
    let lines: Vec<&str> = file.text.lines().collect();
    let code = lines
        .iter()
        .take_while(|line| !line.starts_with("#[cfg(test)]"));
    let mut problems = Vec::new();
    // The indentation of the public trait around the line, which its closing brace has too.
    let mut trait_indent = None;
    for (index, line) in code.enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if trimmed.starts_with("pub trait ") {
            trait_indent = Some(indent);
        } else if trimmed.starts_with('}') && trait_indent == Some(indent) {
            trait_indent = None;
        }
        let name = public_async_fn(trimmed, trait_indent.is_some());
        if let Some(name) = name.filter(|_| !has_section(&lines[..index])) {
            let message = format!("async function `{name}` has no `{SECTION}` section");
            problems.push(Problem::new(&file.path, index + 1, message));
        }
    }
    problems
}

/// Returns the name of the public async function that starts on this line.
fn public_async_fn(line: &str, in_public_trait: bool) -> Option<&str> {
    let function = if in_public_trait {
        line
    } else {
        line.strip_prefix("pub ")?
    };
    let name = function.strip_prefix("async fn ")?;
    name.split(['(', '<']).next()
}

/// Returns whether the lines end with a doc comment that has the section, or with attributes after one.
fn has_section(above: &[&str]) -> bool {
    let lines = above.iter().rev().map(|line| line.trim());
    let mut block = lines.take_while(|line| {
        line.starts_with("//") || !(line.is_empty() || line.ends_with(['{', '}', ';']))
    });
    block.any(|line| doc_text(line) == Some(SECTION))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that exactly these lines have problems.
    fn expect_problems(code: &str, lines: &[usize]) {
        let problems = check(&File::new("crates/a/src/b.rs", code));
        let found: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(found, lines, "in {code}");
    }

    #[test]
    fn section_has_one_spelling() {
        let headings = "/// # Cancel safety\n/// # Cancel Safety\n//! # Cancellation safety\n";
        expect_problems(headings, &[2, 3]);
        expect_problems("/// Cancel safety is not a heading here.\n", &[]);
    }

    #[test]
    fn public_async_function_needs_the_section() {
        expect_problems("/// Waits.\npub async fn wait() {}\n", &[2]);
        let documented = "/// Waits.\n///\n/// # Cancel safety\n///\n/// Yes.\n#[inline]\npub async fn wait() {}\n";
        expect_problems(documented, &[]);
    }

    #[test]
    fn sections_of_other_functions_do_not_count() {
        let code = "/// # Cancel safety\npub async fn one() {\n}\npub async fn two() {}\n";
        expect_problems(code, &[4]);
    }

    #[test]
    fn methods_of_public_traits_are_public() {
        let code = "pub trait A {\n    async fn f(&self);\n}\nimpl A for B {\n    async fn f(&self) {}\n}\n";
        expect_problems(code, &[2]);
        expect_problems("trait A {\n    async fn f(&self);\n}\n", &[]);
        expect_problems("pub(crate) async fn f() {}\n", &[]);
    }
}
