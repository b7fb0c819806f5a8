//! Layers of a configuration.

use std::env::VarError;

use runtime_worker::config::{ConfigDocument, ConfigError, Format, WorkerConfig};
use serde_json::{Value, json};

use super::errors::problems_of;
use super::sample;

fn document() -> ConfigDocument {
    let document = ConfigDocument::parse(&sample().to_string(), Format::Json);
    document.expect("JSON").variables(|name| match name {
        "ID" => Ok("from-env".to_owned()),
        _ => Err(VarError::NotPresent),
    })
}

fn with_layers(layers: &[Value]) -> Result<WorkerConfig, ConfigError> {
    let mut document = document();
    for (number, layer) in layers.iter().enumerate() {
        document.add_layer(&format!("layer {number}"), layer.clone())?;
    }
    document.read()
}

#[test]
fn higher_layer_wins() {
    let layers = [
        json!({ "capacity": 2, "timing": { "hangTimeout": "1 min" } }),
        json!({ "capacity": 3 }),
    ];
    let config = with_layers(&layers).expect("valid");
    assert_eq!(config.capacity, 3);
    assert_eq!(config.timing.hang_timeout.as_secs(), 60);
    // Of the file.
    assert_eq!(config.timing.cancel_poll_interval.as_secs(), 20);
}

#[test]
fn lists_are_replaced() {
    let config = with_layers(&[json!({ "shutdown": ["worker-manager"] })]).expect("valid");
    assert_eq!(config.shutdown.len(), 1);
}

#[test]
fn null_removes_a_key() {
    let layers = [json!({ "credentials": null, "timing": { "cancelPollInterval": null } })];
    let config = with_layers(&layers).expect("valid");
    assert!(config.credentials.is_none());
    assert_eq!(config.timing.cancel_poll_interval.as_secs(), 9);
}

#[test]
fn defaults_are_below_the_file() {
    let mut document = document();
    let defaults = json!({ "workerId": "default", "capacity": 7 });
    document
        .add_defaults("the instance", defaults)
        .expect("a map");
    let config: WorkerConfig = document.read().expect("valid");
    assert_eq!((&*config.worker_id, config.capacity), ("i-1", 7));
}

#[test]
fn references_are_replaced_and_replace() {
    let mut document = ConfigDocument::parse(
        &json!({ "workerId": { "$env": "UNSET" }, "workerGroup": "g" }).to_string(),
        Format::Json,
    )
    .expect("JSON")
    .variables(|_| Err(VarError::NotPresent));
    let mut rest = sample();
    rest["workerGroup"] = json!({ "$secret": "s" });
    document.add_layer("a layer", rest).expect("a map");
    document.add_secret(
        "s",
        runtime_core::Secret::new(r#"{"group":"secret-group"}"#),
    );
    let config: WorkerConfig = document.read().expect("the variable is not needed");
    assert_eq!(
        (&*config.worker_id, &*config.worker_group),
        ("i-1", "secret-group")
    );
}

#[test]
fn problems_name_their_layer() {
    let layers = [
        json!({ "capacity": 0, "timing": { "zebra": 1 } }),
        json!({ "workerId": 5 }),
    ];
    let error = with_layers(&layers).expect_err("invalid");
    let found = problems_of(error).join("\n");
    for part in [
        "in layer 0: `capacity`: expected at least 1, got `0`",
        "in layer 0: unknown key `timing.zebra`",
        "in layer 1: `workerId`: expected a text, got `5`",
    ] {
        assert!(found.contains(part), "`{part}` is not in {found}");
    }
}

#[test]
fn values_of_secret_layers_are_not_shown() {
    let mut document = document();
    let layer = json!({
        "capacity": "hunter2",
        "fetch": { "allowedHosts": ["hunter2/ x"] },
        "shutdown": ["hunter2"],
    });
    document
        .add_secret_layer("the secret `s`", layer)
        .expect("a map");
    let error = document.read::<WorkerConfig>().expect_err("invalid");
    let found = problems_of(error).join("\n");
    assert!(!found.contains("hunter2"), "{found}");
    for part in [
        "in the secret `s`: `capacity`: expected an integer, got the value of the secret `s`",
        "in the secret `s`: `fetch.allowedHosts.0`: invalid value of the secret `s`",
        "in the secret `s`: `shutdown.0`: expected one of signals",
    ] {
        assert!(found.contains(part), "`{part}` is not in {found}");
    }
}

#[test]
fn layers_cannot_read_the_machine() {
    for layer in [
        json!({ "workerId": { "$env": "ID" } }),
        json!({ "plugins": { "logPrefix": { "a": { "$file": "/etc/passwd" } } } }),
    ] {
        let error = with_layers(&[layer]).expect_err("refused");
        let found = format!("{error:?}");
        assert!(
            found.contains("can be used in the configuration file only"),
            "{found}"
        );
    }
}

#[test]
fn layers_are_maps_of_limited_size() {
    let large = json!({ "workerId": "x".repeat(1 << 20) });
    for (layer, part) in [(json!([]), "expected a map"), (large, "TooLarge")] {
        let found = format!("{:?}", with_layers(&[layer]).expect_err("refused"));
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn layers_can_mend_missing_keys_only() {
    let mut value = sample();
    value["workerGroup"] = json!({ "$secret": "s" });
    let Value::Object(map) = &mut value else {
        panic!("an object");
    };
    map.remove("workerId");
    let check = |value: &Value| {
        let document = ConfigDocument::parse(&value.to_string(), Format::Json).expect("JSON");
        let document = document.variables(|_| Err(VarError::NotPresent));
        document.check::<WorkerConfig>()
    };
    check(&value).expect("a layer can have the id");
    for (key, mistake) in [
        ("capacity", json!(0)),
        ("capcity", json!(1)),
        ("dataFolder", json!({ "$env": "UNSET" })),
    ] {
        let mut value = value.clone();
        value[key] = mistake;
        let found = problems_of(check(&value).expect_err("a mistake")).join("\n");
        assert!(found.contains(key), "{found}");
        assert!(found.contains("missing key `workerId`"), "{found}");
    }
}
