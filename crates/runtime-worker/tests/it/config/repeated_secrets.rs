//! Secrets whose value is also that of other keys.

use std::env::VarError;

use runtime_worker::config::{ConfigDocument, Format, Secret};
use serde_json::json;

#[test]
fn repeated_secrets_are_hidden() {
    #[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
    struct Config {
        pin: u64,
        one: u64,
        flag: bool,
        word: String,
        numbers: Vec<f64>,
        texts: Vec<String>,
        flags: Vec<bool>,
    }
    let secret = |key: &str| json!({ "$secret": "s", "$key": key });
    let value = json!({
        "pin": secret("pin"),
        "one": secret("one"),
        "flag": secret("flag"),
        "word": secret("word"),
        "numbers": [86_420_135, 1, 8_642_013],
        "texts": ["86420135", "https://user:correct-horse@example.com/", "correct"],
        "flags": [true],
    });
    let document = ConfigDocument::parse(&value.to_string(), Format::Json).expect("JSON");
    let mut document = document.variables(|_| Err(VarError::NotPresent));
    let values = r#"{"pin":86420135,"one":1,"flag":true,"word":"correct-horse"}"#;
    document.add_secret("s", Secret::new(values));
    let config: Config = document.read().expect("valid");
    let shown = document.redacted(&config);
    assert!(
        !shown.contains("86420135") && !shown.contains("correct-horse"),
        "{shown}"
    );
    for part in ["- 1.0\n- 8642013.0\n", "- correct\n", "flags:\n- true\n"] {
        assert!(shown.contains(part), "`{part}` is not in {shown}");
    }
    for key in ["pin", "one", "flag", "word"] {
        let line = format!("{key}: '[REDACTED]'\n");
        assert!(shown.contains(&line), "`{line}` is not in {shown}");
    }
}
