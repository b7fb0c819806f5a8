//! JSON schemas of amounts, thresholds, durations and sizes.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::amount::Amount;
use crate::serde_impls::SizeAmount;
use crate::threshold::Threshold;
use crate::units::{ByteSize, DurationText, duration_units, pattern, size_units};

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, a size such as `20 GiB`, or a percentage such as `15%`.",
            "type": ["integer", "string"],
            "minimum": 0,
            "examples": [10_000, "15%"],
        })
    }
}

impl<T: JsonSchema> JsonSchema for Threshold<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("ThresholdOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({
            "description": "A trigger, or `{\"trigger\": .., \"target\": ..}` with the value at which a collection stops.",
            "anyOf": [
                value,
                {
                    "type": "object",
                    "properties": { "trigger": value, "target": value },
                    "required": ["trigger"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

impl JsonSchema for SizeAmount {
    fn schema_name() -> Cow<'static, str> {
        "SizeAmount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let size = pattern(size_units());
        json_schema!({
            "title": "Size or percentage",
            "description": "A size such as `20 GiB`, or a percentage such as `15%`.",
            "type": "string",
            "pattern": format!("{size}|^ *(100|[0-9]{{1,2}}([.][0-9]+)?) *% *$"),
            "examples": ["20 GiB", "15%"],
        })
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "DurationText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "Duration",
            "description": "A duration such as `90 s`, `15 min`, `12 h` or `7 days`.",
            "type": "string",
            "pattern": pattern(duration_units()),
            "examples": ["15 min"],
        })
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "Size",
            "description": "A size such as `100 MiB` or `10 GiB`.",
            "type": "string",
            "pattern": pattern(size_units()),
            "examples": ["10 GiB"],
        })
    }
}

/// The keyword of a JSON schema for the least duration or size that [`DurationText`] and [`ByteSize`] accept in a field.
pub const MINIMUM_KEYWORD: &str = "x-minimum";

/// Sets the least duration or size of a field: `#[schemars(transform = at_least("1 s"))]`.
///
/// JSON Schema has no such keyword for texts, so a validator has to implement [`MINIMUM_KEYWORD`]. The validator of
/// configurations in `runtime-worker` does.
pub fn at_least(minimum: &'static str) -> impl FnMut(&mut Schema) {
    move |schema| {
        schema.insert(MINIMUM_KEYWORD.to_owned(), minimum.into());
    }
}
