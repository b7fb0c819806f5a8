//! Equal JSON values have equal keys, and different values have different keys.

use proptest::collection::vec;
use proptest::prelude::*;
use runtime_caching::JsonKey;
use serde_json::{Map, Number, Value};

fn key(text: &str) -> JsonKey {
    text.parse().expect("it is JSON")
}

#[test]
fn equal_numbers_have_equal_keys() {
    let same = |texts: &[&str], form: &str| {
        for text in texts {
            assert_eq!(key(text).as_str(), form, "{text}");
        }
    };
    same(&["1", "1.0", "10e-1", "0.1e1"], "1");
    same(&["0", "-0", "0.0", "-0.0", "0e5"], "0");
    same(&["-3", "-3.0", "-30e-1"], "-3");
    same(&["1.5", "15e-1", "1.50"], "1.5");
    same(&["18446744073709551615"], "18446744073709551615");
    same(&["10000000000000000000", "1e19"], "10000000000000000000");
    same(
        &["-9223372036854775808", "-9223372036854775808.0"],
        "-9223372036854775808",
    );
    same(&["1e300", "10e299"], "1e+300");
}

#[test]
fn large_neighbours_have_different_keys() {
    assert_ne!(key("9007199254740992"), key("9007199254740993"));
    assert_ne!(key("18446744073709551614"), key("18446744073709551615"));
}

#[test]
fn different_types_have_different_keys() {
    assert_ne!(key("\"1\""), key("1"));
    assert_ne!(key(r#"{"a":null}"#), key("{}"));
    assert_ne!(key("[1,2]"), key("[2,1]"));
}

#[test]
fn escapes_in_strings_do_not_matter() {
    assert_eq!(key(r#""\u0041\/\u00e9""#), key(r#""A/é""#));
}

#[test]
fn key_is_serialized_and_read_back() {
    let written = serde_json::to_string(&key(r#"{ "b": 1.0, "a": [] }"#)).expect("a string");
    assert_eq!(written, r#""{\"a\":[],\"b\":1}""#);
    let read: JsonKey = serde_json::from_str(&written).expect("a serialized key");
    assert_eq!(read, key(r#"{"a":[],"b":1}"#));
    assert!(serde_json::from_str::<JsonKey>(r#""{no json""#).is_err());
}

fn values() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        (-100_i32..100).prop_map(|it| Number::from_f64(f64::from(it) / 4.0).expect("finite")),
        any::<f64>().prop_filter_map("finite", Number::from_f64),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number.prop_map(Value::Number),
        ".{0,4}".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            vec((".{0,3}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Formats a value differently: members reversed, with white space, whole numbers as fractions.
fn rewritten(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(small) if small.unsigned_abs() < 1 << 50 => format!("{small}.0"),
            _ => number.to_string(),
        },
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(rewritten).collect();
            format!("[ {} ]", items.join("\n, "))
        }
        Value::Object(members) => {
            let members = members.iter().rev();
            let member = |(name, value)| {
                format!(
                    "{} :\t{}",
                    Value::String(String::clone(name)),
                    rewritten(value)
                )
            };
            let members: Vec<_> = members.map(member).collect();
            format!("{{ {} }}", members.join(" , "))
        }
        _ => value.to_string(),
    }
}

/// Returns whether two values are equal, by a simple definition.
fn same(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => match (one.is_f64(), two.is_f64()) {
            (false, false) => one == two,
            (true, true) => one.as_f64() == two.as_f64(),
            (true, false) => same_number(one, two),
            (false, true) => same_number(two, one),
        },
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            let has =
                |name: &String, value| two.get(name).is_some_and(|two: &Value| same(value, two));
            one.len() == two.len() && one.iter().all(|(name, value)| has(name, value))
        }
        _ => one == two,
    }
}

/// Returns whether a float is exactly this integer.
fn same_number(float: &Number, whole: &Number) -> bool {
    let float = float.as_f64().expect("a float");
    let whole = whole.as_i128().expect("an integer");
    float.trunc() == float && float.abs() < 1e30 && float as i128 == whole
}

proptest! {
    #[test]
    fn notation_does_not_matter(value in values()) {
        let ours = JsonKey::from(&value);
        prop_assert_eq!(&key(&rewritten(&value)), &ours);
        prop_assert_eq!(&key(&value.to_string()), &ours);
        prop_assert_eq!(&key(ours.as_str()), &ours, "canonical text is its own key");
    }

    #[test]
    fn keys_are_equal_iff_values_are(one in values(), two in values()) {
        prop_assert_eq!(JsonKey::from(&one) == JsonKey::from(&two), same(&one, &two));
    }

    #[test]
    fn different_numbers_have_different_keys(number in any::<i64>(), other in any::<i64>()) {
        let of = |number: i64| JsonKey::from(&Value::Object(Map::from_iter([("n".to_owned(), number.into())])));
        prop_assert_eq!(of(number) == of(other), number == other);
    }

    #[test]
    fn arbitrary_text_does_not_panic(text in ".{0,40}") {
        let _ = text.parse::<JsonKey>();
    }
}
