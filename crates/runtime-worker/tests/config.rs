//! Configuration files: formats, defaults and error texts.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use runtime_core::TemporaryStorage;
use runtime_gc::{Amount, Threshold};
use runtime_worker::config::{self, ConfigError, Format, ShutdownConfig, WorkerConfig};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

fn config() -> Value {
    json!({
        "rootUrl": "https://tc.example.com/",
        "taskQueueId": "proj/linux",
        "workerGroup": "us-east",
        "workerId": "i-1",
        "dataFolder": "/var/lib/worker",
        "credentials": { "clientId": "me", "accessToken": "hunter2" },
        "collector": {
            "limits": { "minFreeDisk": { "trigger": "10 GiB", "target": "20%" } },
            "cheap": { "maxAge": "7 d" },
        },
        "timing": { "cancelPoll": 20 },
        "shutdown": ["signals", "aws-spot"],
    })
}

fn read(value: &Value) -> Result<WorkerConfig, ConfigError> {
    config::parse(&value.to_string(), Format::Json)
}

fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut value = config();
    change(&mut value);
    match read(&value).expect_err("an invalid configuration") {
        ConfigError::Invalid { problems } => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn formats_are_equivalent() {
    let yaml = serde_yaml_ng::to_string(&config()).expect("YAML");
    let toml = "
        rootUrl = 'https://tc.example.com/'
        taskQueueId = 'proj/linux'
        workerGroup = 'us-east'
        workerId = 'i-1'
        dataFolder = '/var/lib/worker'
        shutdown = ['signals', 'aws-spot']
        [credentials]
        clientId = 'me'
        accessToken = 'hunter2'
        [collector]
        limits = { minFreeDisk = { trigger = '10 GiB', target = '20%' } }
        cheap = { maxAge = '7 d' }
        [timing]
        cancelPoll = 20
    ";
    for (text, format) in [
        (config().to_string(), Format::Json),
        (yaml, Format::Yaml),
        (toml.to_owned(), Format::Toml),
    ] {
        let config: WorkerConfig = config::parse(&text, format).expect("a valid configuration");
        assert_eq!(config.identity().root_url, "https://tc.example.com");
        assert_eq!(config.timing.to_timing().cancel_poll.as_secs(), 20);
        assert_eq!(
            config.shutdown,
            [ShutdownConfig::Signals, ShutdownConfig::AwsSpot]
        );
        let token = &config.credentials.expect("credentials").access_token;
        assert_eq!(token.expose(), "hunter2");
        let threshold = Threshold::at(Amount::Absolute(10 << 30)).target(Amount::Percent(20.0));
        assert_eq!(config.collector.limits.min_free_disk, Some(threshold));
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        assert_eq!(config.collector.cheap.max_age, Some(week));
    }
}

#[test]
fn unknown_key_suggests_the_nearest() {
    let problems = problems(|config| {
        config["capcity"] = json!(3);
        config["timing"]["cancelpoll"] = json!(3);
        config["plugins"] = json!({ "zebra": true });
    });
    let all = problems.join("\n");
    assert!(
        all.contains("unknown key `capcity`, did you mean `capacity`?"),
        "{all}"
    );
    assert!(
        all.contains("unknown key `timing.cancelpoll`, did you mean `cancelPoll`?"),
        "{all}"
    );
    assert!(
        all.contains("unknown key `plugins.zebra`, expected one of cacheScopes, idleStop"),
        "{all}"
    );
}

#[test]
fn threshold_errors_match_its_notation() {
    let problem = |limit: Value| {
        let problems = problems(|config| config["collector"]["limits"]["minFreeDisk"] = limit);
        problems.join("\n")
    };
    let text = problem(json!({ "trigger": "1 GiB", "tragt": "2 GiB" }));
    assert!(
        text.contains("unknown key `collector.limits.minFreeDisk.tragt`, did you mean `target`?"),
        "{text}"
    );
    let text = problem(json!("20 apples"));
    assert!(
        text.contains("`collector.limits.minFreeDisk`: invalid amount `20 apples`"),
        "{text}"
    );
    let text = problem(json!(true));
    assert!(
        text.contains(
            "`collector.limits.minFreeDisk`: does not match its description: A trigger, or `{\"trigger\""
        ),
        "{text}"
    );
}

#[cfg(feature = "unpack")]
#[test]
fn fetch_and_unpack_settings_are_read() {
    let proxy = "http://me:hunter2@proxy.example:3128";
    let add_settings = |config: &mut Value| {
        config["fetch"] = json!({
            "proxy": proxy,
            "noProxy": [".example.com"],
            "stallTimeoutMs": 5000,
            "retry": { "maxAttempts": 3 },
            "addresses": "any",
        });
        config["plugins"] = json!({ "unpackLimits": { "maxEntries": 10 } });
    };
    let mut value = config();
    add_settings(&mut value);
    let config = read(&value).expect("a valid configuration");
    assert_eq!(config.fetch.proxy, Some(config::Secret::new(proxy)));
    assert_eq!(config.fetch.no_proxy, [".example.com"]);
    assert_eq!(config.fetch.stall_timeout, Duration::from_secs(5));
    assert_eq!(config.fetch.retry.max_attempts, 3);
    assert_eq!(config.fetch.addresses, runtime_fetcher::AddressPolicy::Any);
    assert_eq!(config.plugins.unpack_limits.max_entries, 10);
    let shown = config::redacted(&config);
    assert!(shown.contains("maxAttempts: 3"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let problems = problems(|config| {
        add_settings(config);
        config["fetch"]["retry"]["maxAtempts"] = json!(4);
        config["fetch"]["stallTimeoutMs"] = json!(0);
        config["plugins"]["unpackLimits"]["maxBytes"] = json!(-1);
    });
    let all = problems.join("\n");
    let unknown = "unknown key `fetch.retry.maxAtempts`, did you mean `maxAttempts`?";
    assert!(all.contains(unknown), "{all}");
    assert!(all.contains("`fetch.stallTimeoutMs`"), "{all}");
    assert!(all.contains("`plugins.unpackLimits.maxBytes`"), "{all}");
}

#[test]
fn default_collector_keeps_free_disk() {
    let mut value = config();
    value
        .as_object_mut()
        .expect("an object")
        .remove("collector");
    let collector = read(&value).expect("a valid configuration").collector;
    assert_eq!(
        collector.limits.min_free_disk,
        Some(Threshold::at(Amount::Absolute(1 << 30)))
    );
}

#[test]
fn old_keys_are_unknown() {
    let problems = problems(|config| {
        config["internalErrors"] = json!(3);
        config["timing"] = json!({ "kill": 1, "hang": 1 });
        config["collector"]["limits"]["minFreeDisk"] = json!({ "limit": "1 GiB", "rest": "2 GiB" });
    });
    for expected in [
        "unknown key `internalErrors`, did you mean `maxConsecutiveInternalErrors`?",
        "unknown key `timing.kill`, did you mean `killTimeout`?",
        "unknown key `timing.hang`, did you mean `hangTimeout`?",
        "unknown key `collector.limits.minFreeDisk.limit`, expected one of target, trigger",
        "unknown key `collector.limits.minFreeDisk.rest`, expected one of target, trigger",
    ] {
        assert!(problems.iter().any(|it| it == expected), "{problems:?}");
    }
}

/// A tagged enum.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Shape {
    #[expect(dead_code, reason = "only errors are tested")]
    Square(Square),
    #[expect(dead_code, reason = "only errors are tested")]
    Circle(Circle),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Square {
    #[expect(dead_code, reason = "only errors are tested")]
    side_length: u8,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Circle {
    #[expect(dead_code, reason = "only errors are tested")]
    radius: u8,
}

#[test]
fn errors_describe_the_tagged_variant() {
    let error_of = |value: Value| {
        let error = config::parse::<Shape>(&value.to_string(), Format::Json);
        error.expect_err("an invalid value").to_string()
    };
    let text = error_of(json!({ "kind": "square", "sideLenght": 2 }));
    assert!(
        text.contains("unknown key `sideLenght`, did you mean `sideLength`?")
            && text.contains("missing key `sideLength`"),
        "{text}"
    );
    let text = error_of(json!({ "kind": "circle", "radius": "far" }));
    assert!(text.contains("`radius`") && !text.contains("far"), "{text}");
    let text = error_of(json!({ "kind": "cube" }));
    assert!(
        text.contains("`kind` must be one of square, circle"),
        "{text}"
    );
    let text = error_of(json!({ "radius": 3 }));
    assert!(text.contains("missing key `kind`"), "{text}");
}

#[test]
fn all_problems_are_reported_without_values() {
    let problems = problems(|config| {
        config["capacity"] = json!("many");
        config["credentials"]["accessToken"] = json!(["hunter2"]);
        config["shutdown"] = json!(["siren"]);
        config
            .as_object_mut()
            .expect("an object")
            .remove("workerId");
    });
    let all = problems.join("\n");
    for key in [
        "`capacity`:",
        "`credentials",
        "`shutdown.0` must be one of signals, aws-spot,",
        "missing key `workerId`",
    ] {
        assert!(all.contains(key), "{key} is not in {all}");
    }
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn printed_config_has_defaults_and_no_secrets() {
    let config = read(&config()).expect("a valid configuration");
    let printed = config::redacted(&config);
    assert!(printed.contains("capacity: 1\n"), "{printed}");
    assert!(printed.contains("accessToken: '[REDACTED]'"), "{printed}");
    assert!(!printed.contains("hunter2") && !format!("{config:?}").contains("hunter2"));
}

#[test]
fn schema_describes_each_key() {
    let schema = config::schema::<WorkerConfig>();
    let properties = schema["properties"].as_object().expect("an object schema");
    for (key, property) in properties {
        assert!(
            property["description"].is_string(),
            "`{key}` has no description"
        );
    }
}

#[test]
fn all_intervals_are_read() {
    let keys = [
        "cancelPoll",
        "reclaimMargin",
        "claimGrace",
        "retryPause",
        "claimPause",
        "immediateClaimTimeout",
        "gracefulClaimTimeout",
        "killTimeout",
        "hangTimeout",
        "shutdown",
        "shutdownReserve",
    ];
    let mut config = config();
    let seconds = keys.iter().zip(1000..).collect::<BTreeMap<_, u32>>();
    config["timing"] = json!(seconds);
    config["timing"]["emptyClaimDelay"] = json!(0.25);
    let timing = read(&config)
        .expect("a valid configuration")
        .timing
        .to_timing();
    assert_eq!(timing.empty_claim_delay, Duration::from_millis(250));
    let set = [
        timing.cancel_poll,
        timing.reclaim_margin,
        timing.claim_grace,
        timing.retry_pause,
        timing.claim_pause,
        timing.immediate_claim_timeout,
        timing.graceful_claim_timeout,
        timing.kill_timeout,
        timing.hang_timeout,
        timing.shutdown,
        timing.shutdown_reserve,
    ];
    assert_eq!(
        set.map(|it| it.as_secs()),
        std::array::from_fn(|n| 1000 + n as u64)
    );
}

#[test]
fn storage_quota_limits_reservations() {
    let mut config = config();
    config["storageQuota"] = json!(1000);
    let config = read(&config).expect("a valid configuration");
    let folder = tempfile::tempdir().expect("create a folder");
    let storage = TemporaryStorage::open_with(folder.path(), config.storage_options());
    let storage = storage.expect("open the storage");
    let _reserved = storage.reserve(1000).expect("within the quota");
    storage.reserve(1).expect_err("the quota is used up");
}

#[test]
fn task_queue_id_has_two_parts() {
    for queue in ["linux", "a/b/c", "/linux", ""] {
        let problems = problems(|config| config["taskQueueId"] = json!(queue));
        let expected = "`taskQueueId`: does not match its description: The task queue to claim from: `<provisionerId>/<workerType>`.";
        assert_eq!(problems, [expected], "{queue}");
    }
}

#[test]
fn empty_file_lacks_required_keys() {
    for (text, format) in [
        ("", Format::Yaml),
        ("# later", Format::Yaml),
        ("", Format::Toml),
    ] {
        let error = config::parse::<WorkerConfig>(text, format).expect_err("an empty file");
        let error = error.to_string();
        assert!(error.contains("missing key `rootUrl`"), "{error}");
    }
}

#[test]
fn unreadable_file_is_named() {
    let missing = config::load::<WorkerConfig>(Path::new("/nowhere/worker.yml"));
    let error = runtime_core::error_chain(&missing.expect_err("a missing file"));
    assert_eq!(error.matches("/nowhere/worker.yml").count(), 1, "{error}");
    let unknown =
        config::load::<WorkerConfig>(Path::new("worker.ini")).expect_err("an unknown format");
    assert!(
        unknown.to_string().contains(".yml, .yaml, .toml or .json"),
        "{unknown}"
    );
}

#[test]
fn invalid_file_is_named_once() {
    let folder = tempfile::tempdir().expect("create a folder");
    for (name, text, expected) in [
        ("empty.json", "{}", "missing key `rootUrl`"),
        ("broken.json", "{", "invalid JSON"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("open the storage");
        let error = config::load::<WorkerConfig>(&file).expect_err("an invalid file");
        let error = runtime_core::error_chain(&error);
        assert_eq!(error.matches(name).count(), 1, "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn syntax_errors_show_no_secrets() {
    for (text, format) in [
        ("accessToken = \"hunter2", Format::Toml),
        ("{\"accessToken\": \"hunter2\"", Format::Json),
        ("accessToken: [hunter2", Format::Yaml),
    ] {
        let error = config::parse::<WorkerConfig>(text, format).expect_err("invalid syntax");
        let shown = format!("{error:?} {}", runtime_core::error_chain(&error));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
