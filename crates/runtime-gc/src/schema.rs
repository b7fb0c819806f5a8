//! JSON schemas of amounts, thresholds and durations.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::amount::Amount;
use crate::threshold::Threshold;

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, a size such as `20 GiB`, or a percentage such as `15%`.",
            "type": ["integer", "string"],
            "minimum": 0,
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

/// The text form of a duration.
pub(crate) struct DurationText;

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "DurationText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Seconds, or a duration such as `90 s`, `5 min`, `12 h` or `7 d`.",
            "type": ["integer", "string"],
            "minimum": 0,
        })
    }
}
