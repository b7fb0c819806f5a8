//! The features of a crate, as the `##` comments in its manifest describe them.

use anyhow::{Result, bail};

/// A feature with its description.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) description: String,
}

/// Parses the features of a manifest, except `default`.
///
/// # Errors
///
/// A feature has no description or is on by default.
pub(crate) fn parse(manifest: &str) -> Result<Vec<Feature>> {
    let table = manifest.split("\n[features]\n").nth(1).unwrap_or_default();
    let table = table.split("\n[").next().unwrap_or_default();
    let has_defaults = |line: &&str| line.starts_with("default = ") && *line != "default = []";
    if let Some(default) = table.lines().find(has_defaults) {
        bail!("no feature may be on by default, found `{default}`");
    }
    let mut features = Vec::new();
    let mut comments = Vec::new();
    for line in table.lines() {
        if let Some(comment) = line.strip_prefix("## ") {
            comments.push(comment);
        } else if let Some(name) = feature_name(line) {
            if comments.is_empty() {
                bail!("feature `{name}` has no `##` comment");
            }
            features.push(Feature {
                name: name.to_owned(),
                description: comments.join(" "),
            });
            comments.clear();
        }
    }
    Ok(features)
}

/// Returns the feature whose entry starts on this line. Indented lines continue a list.
fn feature_name(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(" = ")?;
    let is_feature = !line.starts_with([' ', '#']) && name != "default";
    is_feature.then_some(name)
}

/// Returns the README section, empty without features.
pub(super) fn section(features: &[Feature]) -> String {
    if features.is_empty() {
        return String::new();
    }
    let item = |feature: &Feature| format!("- `{}`: {}\n", feature.name, feature.description);
    let list: String = features.iter().map(item).collect();
    format!("\n## Features\n\nNone is on by default.\n\n{list}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_describe_the_next_feature() {
        let manifest = "[package]\nname = \"a\"\n\n[features]\ndefault = []\n\n#! ### Parts\n\n## One,\n## in two lines.\none = [\n    \"dep:a\",\n]\n## Two.\ntwo = []\n\n[dependencies]\nb = { version = \"1\" }\n";
        let feature = |name: &str, description: &str| Feature {
            name: name.into(),
            description: description.into(),
        };
        assert_eq!(
            parse(manifest).expect("all are described"),
            [feature("one", "One, in two lines."), feature("two", "Two.")]
        );
    }

    #[test]
    fn undescribed_or_default_feature_is_an_error() {
        assert!(parse("\n[features]\none = []\n").is_err());
        assert!(parse("\n[features]\ndefault = [\"one\"]\n").is_err());
        assert_eq!(parse("[package]\n").expect("no features"), []);
    }
}
