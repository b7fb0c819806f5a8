//! Merges the layers of a configuration.

use serde_json::Value;

use super::external_values::ConfigReference;

/// Applies a layer as a JSON merge patch (RFC 7396): maps are merged, null removes a key, and other values replace those
/// below.
///
/// A reference to a value from outside is such a value, although it is a map.
pub(super) fn merge(target: &mut Value, layer: &Value) {
    let Value::Object(layer) = layer else {
        *target = layer.clone();
        return;
    };
    if ConfigReference::is_in(layer) {
        *target = Value::Object(layer.clone());
        return;
    }
    if target.as_object().is_none_or(ConfigReference::is_in) {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in layer {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}
