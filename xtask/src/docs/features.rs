//! The features of a crate, as the comments with `##` in its manifest describe them.

use anyhow::{Result, bail};

/// A feature that users turn on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Feature {
    pub(super) name: String,
    pub(super) what: String,
}

/// All features but `default`; every one has to be described.
pub(super) fn described(manifest: &str) -> Result<Vec<Feature>> {
    let table = manifest.split("\n[features]\n").nth(1).unwrap_or_default();
    let table = table.split("\n[").next().unwrap_or_default();
    let on = |line: &&str| line.starts_with("default = ") && *line != "default = []";
    if let Some(default) = table.lines().find(on) {
        bail!("features are off until a user turns them on, and here is `{default}`");
    }
    let mut features = Vec::new();
    let mut what = Vec::new();
    for line in table.lines() {
        if let Some(comment) = line.strip_prefix("## ") {
            what.push(comment);
        } else if let Some(name) = name(line) {
            if what.is_empty() {
                bail!("feature `{name}` has no line with `##` that describes it");
            }
            features.push(Feature {
                name: name.to_owned(),
                what: what.join(" "),
            });
            what.clear();
        }
    }
    Ok(features)
}

/// The feature that a line begins; lines that go on with a list are indented.
fn name(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(" = ")?;
    let is_name = !line.starts_with([' ', '#']) && name != "default";
    is_name.then_some(name)
}

/// A section for a README, empty without features.
pub(super) fn section(features: &[Feature]) -> String {
    if features.is_empty() {
        return String::new();
    }
    let rows = features
        .iter()
        .map(|Feature { name, what }| format!("- `{name}`: {what}\n"));
    format!(
        "\n## Features\n\nNone is on by default.\n\n{}",
        rows.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_describe_the_feature_below_them() {
        let manifest = "[package]\nname = \"a\"\n\n[features]\ndefault = []\n\n#! ### Parts\n\n## One,\n## in two lines.\none = [\n    \"dep:a\",\n]\n## Two.\ntwo = []\n\n[dependencies]\nb = { version = \"1\" }\n";
        let names: Vec<_> = described(manifest)
            .expect("all are described")
            .into_iter()
            .map(|feature| (feature.name, feature.what))
            .collect();
        let pair = |name: &str, what: &str| (name.to_owned(), what.to_owned());
        assert_eq!(
            names,
            [pair("one", "One, in two lines."), pair("two", "Two.")]
        );
    }

    #[test]
    fn a_feature_without_a_description_is_an_error() {
        assert!(described("\n[features]\none = []\n").is_err());
        assert!(described("\n[features]\ndefault = [\"one\"]\n").is_err());
        assert_eq!(described("[package]\n").expect("there are none"), []);
    }
}
