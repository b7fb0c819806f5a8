//! Selection of items by the names on the command line.

use anyhow::{Context, Result};

/// Returns the items with these names, in the order of the names.
///
/// `kind` is the noun for an item in the error, such as `step`.
pub(crate) fn select<'a, T>(
    kind: &str,
    items: &'a [T],
    name_of: impl Fn(&T) -> &str,
    names: &[impl AsRef<str>],
) -> Result<Vec<&'a T>> {
    let find = |name| {
        let found = items.iter().find(|item| name_of(item) == name);
        found.with_context(|| {
            let known = list(items.iter().map(&name_of));
            format!("unknown {kind} `{name}`; known {kind}s: {known}")
        })
    };
    names.iter().map(AsRef::as_ref).map(find).collect()
}

/// Returns the names, separated by commas.
pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(names: &[&str]) -> Result<Vec<&'static &'static str>> {
        select("step", &["fmt", "test"], |name| name, names)
    }

    #[test]
    fn unknown_name_lists_the_known_ones() {
        let error = selected(&["fmt", "lint"]).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "unknown step `lint`; known steps: fmt, test"
        );
    }

    #[test]
    fn requested_order_is_kept() {
        assert_eq!(
            selected(&["test", "fmt"]).expect("known"),
            [&"test", &"fmt"]
        );
    }
}
