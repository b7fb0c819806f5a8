//! Describes violations of a configuration's schema.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::unknown_keys::{describe_unknown_keys, join};

/// The number of problems that are described. A file may contain any number, and an author reads few.
const MAX_DESCRIBED: usize = 50;

/// Returns the violations of the schema, each with the path of its key, up to 50.
pub(super) fn find_problems(validator: &Validator, schema: &Value, value: &Value) -> Vec<String> {
    let errors = validator.iter_errors(value);
    let mut problems = errors.flat_map(|error| describe(&error, schema));
    let mut described: Vec<_> = problems.by_ref().take(MAX_DESCRIBED).collect();
    if problems.next().is_some() {
        described.push("more problems follow".to_owned());
    }
    described
}

/// Describes a violation without the value, which may be a secret.
fn describe(error: &ValidationError<'_>, schema: &Value) -> Vec<String> {
    let path = instance_path(error);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            describe_unknown_keys(error, unexpected, &path, schema)
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            vec![format!("missing key `{}`", join(&path, key))]
        }
        ValidationErrorKind::OneOfNotValid { context } => describe_variants(error, context, schema),
        ValidationErrorKind::AnyOf { context } => describe_alternatives(error, context, schema),
        ValidationErrorKind::Pattern { .. } => {
            vec![format!(
                "`{path}`: {}",
                expectation(error, "/pattern", schema)
            )]
        }
        _ => vec![format!("`{path}`: {}", error.masked())],
    }
}

/// Describes a violation of a tagged enum: the problems of the variant with the given tag, or of the tag itself.
fn describe_variants(
    error: &ValidationError<'_>,
    variants: &[Vec<ValidationError<'static>>],
    schema: &Value,
) -> Vec<String> {
    let describe_variant = |errors: &Vec<ValidationError<'static>>| -> Vec<String> {
        let problems = errors.iter();
        problems.flat_map(|error| describe(error, schema)).collect()
    };
    // The validator reports the errors of all variants. The chosen one is the only one without an error of its tag.
    let mut tagged = variants
        .iter()
        .filter(|errors| !errors.iter().any(|error| expected_tag(error).is_some()));
    if let (Some(chosen), None) = (tagged.next(), tagged.next()) {
        return describe_variant(chosen);
    }
    let tags: Vec<_> = variants.iter().flatten().filter_map(expected_tag).collect();
    if let [(path, _), ..] = &tags[..]
        && tags.len() == variants.len()
    {
        let tags: Vec<_> = tags.iter().map(|(_, tag)| *tag).collect();
        return vec![format!("`{path}` must be one of {}", tags.join(", "))];
    }
    // Problems of all variants alike, such as a missing tag.
    let mut variants = variants.iter().map(describe_variant);
    let mut common = variants.next().unwrap_or_default();
    variants.for_each(|problems| common.retain(|problem| problems.contains(problem)));
    if common.is_empty() {
        vec![format!("`{}`: {}", instance_path(error), error.masked())]
    } else {
        common
    }
}

/// Describes a violation of an untagged enum: the problems of the one alternative with the value's JSON type, or the
/// description of the enum.
fn describe_alternatives(
    error: &ValidationError<'_>,
    alternatives: &[Vec<ValidationError<'static>>],
    schema: &Value,
) -> Vec<String> {
    let path = error.instance_path();
    let has_other_type = |error: &ValidationError<'_>| {
        matches!(error.kind(), ValidationErrorKind::Type { .. }) && error.instance_path() == path
    };
    let mut matching = alternatives
        .iter()
        .filter(|errors| !errors.iter().any(has_other_type));
    if let (Some(chosen), None) = (matching.next(), matching.next()) {
        let problems = chosen.iter();
        return problems.flat_map(|error| describe(error, schema)).collect();
    }
    vec![format!(
        "`{}`: {}",
        dotted(&path.to_string()),
        expectation(error, "/anyOf", schema)
    )]
}

/// Returns the description of the expected value.
fn expectation(error: &ValidationError<'_>, keyword: &str, schema: &Value) -> String {
    let parent = error.schema_path().to_string();
    let parent = parent
        .strip_suffix(keyword)
        .and_then(|it| schema.pointer(it));
    let expected = parent.and_then(|parent| parent["description"].as_str());
    expected.map_or_else(
        || error.masked().to_string(),
        |it| format!("does not match its description: {it}"),
    )
}

/// Returns the path and the expected tag of another variant, if the error is about that.
fn expected_tag<'a>(error: &'a ValidationError<'_>) -> Option<(String, &'a str)> {
    match error.kind() {
        ValidationErrorKind::Constant { expected_value } => {
            Some((instance_path(error), expected_value.as_str()?))
        }
        _ => None,
    }
}

/// Returns the path of the invalid value.
fn instance_path(error: &ValidationError<'_>) -> String {
    dotted(&error.instance_path().to_string())
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}
