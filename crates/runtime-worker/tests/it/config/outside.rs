//! Values from environment variables, files and secrets.

use std::env::VarError;
use std::path::Path;

use runtime_worker::config::{self, ConfigDocument, Format, WorkerConfig, document_schema};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::errors::problems_of;
use super::sample;

/// The value of every variable and file that must not be shown.
const HIDDEN: &str = "hunter2-hunter2";

fn document(value: &Value) -> ConfigDocument {
    let document = ConfigDocument::parse(&value.to_string(), Format::Json);
    document.expect("JSON").variables(variable)
}

fn variable(name: &str) -> Result<String, VarError> {
    match name {
        "TOKEN" => Ok(HIDDEN.to_owned()),
        "EMPTY" => Ok(String::new()),
        "LARGE" => Ok("x".repeat((64 << 10) + 1)),
        "MINUTE" => Ok("1 min".to_owned()),
        "FOUR" => Ok("4".to_owned()),
        "TRUE" => Ok("true".to_owned()),
        "FRACTION" => Ok("0.5".to_owned()),
        _ => Err(VarError::NotPresent),
    }
}

fn problems(change: impl FnOnce(&mut Value)) -> String {
    let mut value = sample();
    change(&mut value);
    let error = document(&value).read::<WorkerConfig>();
    let problems = problems_of(error.expect_err("an invalid configuration"));
    problems.join("\n")
}

fn load(folder: &TempDir, yaml: &str) -> ConfigDocument {
    let file = folder.path().join("worker.yml");
    std::fs::write(&file, yaml).expect("the folder is ours");
    ConfigDocument::load(&file)
        .expect("YAML")
        .variables(variable)
}

#[test]
fn variable_replaces_a_text() {
    let mut value = sample();
    value["credentials"]["accessToken"] = json!({ "$env": "TOKEN" });
    value["timing"]["hangTimeout"] = json!({ "$env": "MINUTE" });
    let document = document(&value);
    let config: WorkerConfig = document.read().expect("valid");
    assert_eq!(config.timing.hang_timeout.as_secs(), 60);
    let token = &config
        .credentials
        .as_ref()
        .expect("credentials")
        .access_token;
    assert_eq!(token.expose(), HIDDEN);
    assert!(!format!("{document:?} {config:?}").contains(HIDDEN));
    let printed = document.redacted(&config);
    assert!(!printed.contains(HIDDEN), "{printed}");
    assert!(printed.contains("hangTimeout: 1 min"), "{printed}");
}

#[test]
fn text_becomes_the_scalar_that_is_expected() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("limit"), "3\n").expect("the folder is ours");
    let mut value = sample();
    value["capacity"] = json!({ "$env": "FOUR" });
    value["workerId"] = json!({ "$env": "FOUR" });
    value["maxTasks"] = json!({ "$file": "limit" });
    value["plugins"]["taskclusterProxy"] = json!({ "$env": "TRUE" });
    let document = load(&folder, &value.to_string());
    let config: WorkerConfig = document.read().expect("valid");
    assert_eq!((config.capacity, &*config.worker_id), (4, "4"));
    assert_eq!(config.max_tasks, Some(3));
    assert!(config.plugins.taskcluster_proxy);
    let printed = document.redacted(&config);
    assert!(printed.contains("capacity: 4\n"), "{printed}");
    assert!(printed.contains("maxTasks: '[REDACTED]'"), "{printed}");
}

#[test]
fn text_becomes_a_scalar_of_a_tagged_map() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Config {
        server: Server,
    }
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[serde(tag = "kind", rename_all = "lowercase")]
    enum Server {
        Port { port: u16 },
        None { why: String },
    }
    let value = json!({ "server": { "kind": "port", "port": { "$env": "FOUR" } } });
    let config: Config = document(&value).read().expect("valid");
    assert!(matches!(config.server, Server::Port { port: 4 }));
    let value = json!({ "server": { "kind": "none", "why": { "$env": "FOUR" } } });
    let config: Config = document(&value).read().expect("valid");
    assert!(matches!(config.server, Server::None { why } if why == "4"));
}

#[test]
fn text_of_another_scalar_is_refused() {
    let found = problems(|config| {
        config["capacity"] = json!({ "$env": "FRACTION" });
        config["maxTasks"] = json!({ "$env": "TRUE" });
        config["plugins"]["taskclusterProxy"] = json!({ "$env": "FOUR" });
    });
    for part in [
        "`capacity`: expected an integer, got the value of the variable `FRACTION`",
        "`maxTasks`: expected an integer, got the value of the variable `TRUE`",
        "`plugins.taskclusterProxy`: expected true or false, got the value of the variable `FOUR`",
    ] {
        assert!(found.contains(part), "`{part}` is not in {found}");
    }
    // A text of the file itself is none from outside.
    let found = problems(|config| config["capacity"] = json!("4"));
    assert!(
        found.contains("`capacity`: expected an integer, got `4`"),
        "{found}"
    );
}

#[test]
fn secret_replaces_any_value() {
    let mut value = sample();
    value["capacity"] = json!({ "$secret": "s", "$key": "capacity" });
    value["plugins"]["logPrefix"] = json!({ "$secret": "s", "$key": "prefix" });
    let secret = json!({ "capacity": 4, "prefix": { "motto": HIDDEN }, "nothing": null, "long": ["hunter2"] });
    let mut document = document(&value);
    document.add_secret("s", config::Secret::new(secret.to_string()));
    let config: WorkerConfig = document.read().expect("valid");
    assert_eq!(config.capacity, 4);
    assert_eq!(config.plugins.log_prefix["motto"], HIDDEN);
    let printed = document.redacted(&config);
    assert!(!printed.contains(HIDDEN), "{printed}");
    assert!(printed.contains("capacity: '[REDACTED]'"), "{printed}");
    let secrets = document.secret_values();
    assert!(secrets.iter().any(|it| it.expose() == HIDDEN));
    for (key, part) in [
        ("nothing", "the secret `s` is empty"),
        ("long", "`workerId`: expected a text, got a list"),
        ("prefix", "`workerId`: expected a text, got a map"),
    ] {
        value["workerId"] = json!({ "$secret": "s", "$key": key });
        let mut document = self::document(&value);
        document.add_secret("s", config::Secret::new(secret.to_string()));
        let found = problems_of(document.read::<WorkerConfig>().expect_err("invalid")).join("\n");
        assert!(found.contains(part), "`{part}` is not in {found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn file_replaces_a_text() {
    let folder = tempfile::tempdir().expect("a folder");
    for (content, expected) in [
        ("token", "token"),
        ("token\n", "token"),
        ("token\r\n", "token"),
        ("a\nb\n\n", "a\nb\n"),
    ] {
        std::fs::write(folder.path().join("token"), content).expect("the folder is ours");
        let mut value = sample();
        value["credentials"]["accessToken"] = json!({ "$file": "token" });
        let document = load(&folder, &value.to_string());
        let config: WorkerConfig = document.read().expect("valid");
        let token = config.credentials.expect("credentials").access_token;
        assert_eq!(token.expose(), expected);
    }
}

#[test]
fn printed_values_of_files_are_redacted() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("motto"), HIDDEN).expect("the folder is ours");
    let mut value = sample();
    value["plugins"] = json!({ "logPrefix": { "motto": { "$file": "motto" } } });
    let document = load(&folder, &value.to_string());
    let config: WorkerConfig = document.read().expect("valid");
    assert_eq!(config.plugins.log_prefix["motto"], HIDDEN);
    let printed = document.redacted(&config);
    assert!(!printed.contains(HIDDEN), "{printed}");
    assert!(printed.contains("motto: '[REDACTED]'"), "{printed}");
}

#[test]
fn missing_values_are_reported_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "
rootUrl: https://tc.example.com
taskQueueId: proj/linux
workerGroup: { $env: GROUP }
workerId: i-1
dataFolder: { $file: missing }
capacity: 0
";
    let error = load(&folder, text).read::<WorkerConfig>();
    let error = error.expect_err("invalid").to_string();
    assert!(error.contains("worker.yml"), "{error}");
    let error = load(&folder, text)
        .read::<WorkerConfig>()
        .expect_err("invalid");
    let error = std::error::Error::source(&error)
        .expect("a cause")
        .to_string();
    for part in [
        "line 4: `workerGroup`: the variable `GROUP` is not set; set it in the environment of the worker",
        "line 6: `dataFolder`: the file `missing` cannot be read: No such file",
        "line 7: `capacity`: expected at least 1, got `0`",
    ] {
        assert!(error.contains(part), "`{part}` is not in {error}");
    }
}

#[test]
fn invalid_values_are_not_shown() {
    let found = problems(|config| {
        config["capacity"] = json!({ "$env": "TOKEN" });
        config["timing"]["hangTimeout"] = json!({ "$env": "TOKEN" });
        config["shutdown"] = json!(["signals", { "$env": "TOKEN" }]);
        config["workerId"] = json!({ "$env": "TOKEN" });
        config["taskQueueId"] = json!({ "$env": "TOKEN" });
    });
    assert!(!found.contains(HIDDEN), "{found}");
    for part in [
        "`capacity`: expected an integer, got the value of the variable `TOKEN`",
        "`timing.hangTimeout`: expected a duration, got the value of the variable `TOKEN`",
        "`shutdown.1`: expected one of signals, aws-spot",
        "`taskQueueId`: does not match its description",
    ] {
        assert!(found.contains(part), "`{part}` is not in {found}");
    }
    // Refused by the type, not by the schema.
    let mut value = sample();
    value["fetch"] = json!({ "allowedHosts": ["a.example", { "$env": "HOST" }] });
    let document = ConfigDocument::parse(&value.to_string(), Format::Json).expect("JSON");
    let document = document.variables(|_| Ok(format!("{HIDDEN}/ x")));
    let found = problems_of(document.read::<WorkerConfig>().expect_err("invalid")).join("\n");
    assert!(!found.contains("hunter2"), "{found}");
    let expected = "`fetch.allowedHosts.1`: invalid value of the variable `HOST`";
    assert!(found.contains(expected), "{found}");
}

#[test]
fn empty_and_large_values_are_refused() {
    let found = problems(|config| {
        config["workerId"] = json!({ "$env": "EMPTY" });
        config["workerGroup"] = json!({ "$env": "LARGE" });
    });
    assert!(found.contains("the variable `EMPTY` is empty"), "{found}");
    assert!(
        found.contains("the variable `LARGE` has more than 64 KiB"),
        "{found}"
    );
}

#[test]
fn total_size_is_limited() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("large"), "x".repeat(64 << 10)).expect("the folder is ours");
    let mut value = sample();
    let prefix = (0..17).map(|number| (number.to_string(), json!({ "$file": "large" })));
    value["plugins"]["logPrefix"] = prefix.collect();
    let error = load(&folder, &value.to_string()).read::<WorkerConfig>();
    let error = format!("{:?}", error.expect_err("invalid"));
    assert!(error.contains("larger than 1 MiB together"), "{error}");
}

#[cfg(unix)]
#[test]
fn special_files_are_refused() {
    for path in ["/dev/zero", "/"] {
        let found = problems(|config| config["workerId"] = json!({ "$file": path }));
        assert!(found.contains("is not a regular file"), "{found}");
    }
}

#[test]
fn similar_maps_are_refused() {
    for (map, part) in [
        (
            json!({ "$env": "A", "$file": "b" }),
            "expected a map of `$env` only",
        ),
        (json!({ "$env": 1 }), "`$env` needs a text"),
        (
            json!({ "$file": "a", "$key": "b" }),
            "expected a map of `$file` only",
        ),
        (
            json!({ "$secret": "a", "$key": 1 }),
            "expected a map of `$secret` and `$key`, both texts only",
        ),
    ] {
        let found = problems(|config| config["workerId"] = map);
        assert!(found.contains(&format!("`workerId`: {part}")), "{found}");
    }
}

#[test]
fn secret_replaces_a_text() {
    let mut value = sample();
    value["workerGroup"] = json!({ "$secret": "one" });
    value["workerId"] = json!({ "$secret": "two", "$key": "b" });
    let mut document = document(&value);
    let names = document.missing_secrets();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["one", "two"]);
    document.add_secret("one", config::Secret::new(r#"{"only":"group"}"#));
    document.add_secret("two", config::Secret::new(r#"{"a":"x","b":"hidden-id"}"#));
    assert!(document.missing_secrets().is_empty());
    let config: WorkerConfig = document.read().expect("valid");
    assert_eq!(
        (&*config.worker_group, &*config.worker_id),
        ("group", "hidden-id")
    );
    assert!(!document.redacted(&config).contains("hidden-id"));
}

#[test]
fn wrong_secrets_are_not_shown() {
    for (secret, part) in [
        (r#""hunter2-hunter2""#, "is not a JSON object"),
        (r#"{"b":"hunter2-hunter2"}"#, "has no key `a`"),
    ] {
        let mut value = sample();
        value["workerId"] = json!({ "$secret": "s", "$key": "a" });
        let mut document = document(&value);
        document.add_secret("s", config::Secret::new(secret));
        let error = document.read::<WorkerConfig>().expect_err("invalid");
        let found = problems_of(error).join("\n");
        assert!(found.contains(&format!("the secret `s` {part}")), "{found}");
        assert!(!found.contains(HIDDEN), "{found}");
    }
}

#[test]
fn part_does_not_need_other_values() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Part {
        credentials: Credentials,
    }
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "camelCase")]
    struct Credentials {
        access_token: String,
    }
    let mut value = sample();
    value["workerId"] = json!({ "$secret": "s" });
    let part: Part = document(&value).read_part().expect("no secret is needed");
    assert_eq!(part.credentials.access_token, "hunter2");
    value["credentials"]["accessToken"] = json!({ "$secret": "s" });
    let error = document(&value)
        .read_part::<Part>()
        .err()
        .expect("a secret is needed");
    let found = problems_of(error).join("\n");
    assert!(
        found.contains("the secret `s` is not available here"),
        "{found}"
    );
    assert!(!found.contains("workerId"), "{found}");
}

#[test]
fn schema_allows_references() {
    let schema = document_schema::<WorkerConfig>();
    let validator = jsonschema(&schema);
    let mut value = sample();
    assert!(validator(&value));
    value["workerId"] = json!({ "$env": "A" });
    value["credentials"]["accessToken"] = json!({ "$secret": "a", "$key": "b" });
    value["timing"]["hangTimeout"] = json!({ "$file": Path::new("a") });
    value["capacity"] = json!({ "$env": "CAPACITY" });
    value["maxTasks"] = json!({ "$env": "MAX_TASKS" });
    assert!(validator(&value));
    value["workerId"] = json!({ "$env": "A", "more": 1 });
    assert!(!validator(&value));
    value["workerId"] = json!("not valid");
    assert!(!validator(&value));
}

/// Returns a function that checks values against a schema.
fn jsonschema(schema: &Value) -> impl Fn(&Value) -> bool {
    let validator = jsonschema::validator_for(schema).expect("a valid schema");
    move |value| validator.is_valid(value)
}
