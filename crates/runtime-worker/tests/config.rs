//! A configuration is read from each format, and what is wrong is named by its key.

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
    match read(&value).expect_err("something is wrong") {
        ConfigError::Invalid { problems } => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_format_says_the_same() {
    let yaml = serde_yaml_ng::to_string(&config()).expect("it is YAML");
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
        let config: WorkerConfig = config::parse(&text, format).expect("it is right");
        assert_eq!(config.identity().root_url, "https://tc.example.com");
        assert_eq!(config.timing.to_timing().cancel_poll.as_secs(), 20);
        assert_eq!(
            config.shutdown,
            [ShutdownConfig::Signals, ShutdownConfig::AwsSpot]
        );
        let token = &config.credentials.expect("there are some").access_token;
        assert_eq!(token.expose(), "hunter2");
        let mark = Threshold::at(Amount::Absolute(10 << 30)).target(Amount::Percent(20.0));
        assert_eq!(config.collector.limits.min_free_disk, Some(mark));
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        assert_eq!(config.collector.cheap.max_age, Some(week));
    }
}

#[test]
fn a_key_that_is_not_known_is_named_with_its_path_and_the_nearest() {
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
fn what_is_wrong_with_a_limit_is_told_for_the_way_in_which_it_is_written() {
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
        text.contains("`collector.limits.minFreeDisk`: `20 apples` is not an amount"),
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
fn how_inputs_are_fetched_and_unpacked_is_told_by_the_file() {
    let proxy = "http://me:hunter2@proxy.example:3128";
    let with = |config: &mut Value| {
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
    with(&mut value);
    let config = read(&value).expect("it is right");
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
        with(config);
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
fn a_worker_keeps_some_room_unless_it_is_told_otherwise() {
    let mut value = config();
    let without = |value: &mut Value| {
        value
            .as_object_mut()
            .expect("an object")
            .remove("collector")
    };
    without(&mut value);
    let collector = read(&value).expect("it is right").collector;
    assert_eq!(
        collector.limits.min_free_disk,
        Some(Threshold::at(Amount::Absolute(1 << 30)))
    );
}

/// One of several forms, which its tag tells apart.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Form {
    #[expect(dead_code, reason = "only what is wrong is read")]
    Square(Square),
    #[expect(dead_code, reason = "only what is wrong is read")]
    Circle(Circle),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Square {
    #[expect(dead_code, reason = "only what is wrong is read")]
    side_length: u8,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Circle {
    #[expect(dead_code, reason = "only what is wrong is read")]
    radius: u8,
}

#[test]
fn what_is_wrong_with_a_form_is_told_for_the_form_that_was_chosen() {
    let wrong = |value: Value| {
        let error = config::parse::<Form>(&value.to_string(), Format::Json);
        error.expect_err("something is wrong").to_string()
    };
    let text = wrong(json!({ "kind": "square", "sideLenght": 2 }));
    assert!(
        text.contains("unknown key `sideLenght`, did you mean `sideLength`?")
            && text.contains("missing key `sideLength`"),
        "{text}"
    );
    let text = wrong(json!({ "kind": "circle", "radius": "far" }));
    assert!(text.contains("`radius`") && !text.contains("far"), "{text}");
    let text = wrong(json!({ "kind": "cube" }));
    assert!(
        text.contains("`kind` must be one of square, circle"),
        "{text}"
    );
    let text = wrong(json!({ "radius": 3 }));
    assert!(text.contains("missing key `kind`"), "{text}");
}

#[test]
fn everything_that_is_wrong_is_named_at_once_and_values_are_not_shown() {
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
fn what_is_printed_has_defaults_and_no_secrets() {
    let config = read(&config()).expect("it is right");
    let printed = config::redacted(&config);
    assert!(printed.contains("capacity: 1\n"), "{printed}");
    assert!(printed.contains("accessToken: '[REDACTED]'"), "{printed}");
    assert!(!printed.contains("hunter2") && !format!("{config:?}").contains("hunter2"));
}

#[test]
fn the_schema_describes_each_key() {
    let schema = config::schema::<WorkerConfig>();
    let properties = schema["properties"].as_object().expect("an object schema");
    for (key, property) in properties {
        assert!(
            property["description"].is_string(),
            "{key} is not described"
        );
    }
}

#[test]
fn every_interval_of_a_file_reaches_the_worker() {
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
    let timing = read(&config).expect("it is right").timing.to_timing();
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
fn the_quota_of_a_file_bounds_what_temporary_files_reserve() {
    let mut config = config();
    config["storageQuota"] = json!(1000);
    let config = read(&config).expect("it is right");
    let folder = tempfile::tempdir().expect("a folder for the test");
    let storage = TemporaryStorage::open_with(folder.path(), config.storage_options());
    let storage = storage.expect("the folder is ours");
    let _reserved = storage.reserve(1000).expect("it is within the quota");
    storage.reserve(1).expect_err("the quota is used up");
}

#[test]
fn a_queue_has_a_provisioner_and_a_worker_type() {
    for queue in ["linux", "a/b/c", "/linux", ""] {
        let problems = problems(|config| config["taskQueueId"] = json!(queue));
        let expected = "`taskQueueId`: does not match its description: The task queue to claim from: `<provisionerId>/<workerType>`.";
        assert_eq!(problems, [expected], "{queue}");
    }
}

#[test]
fn a_file_without_a_word_lacks_what_must_be_there() {
    for (text, format) in [
        ("", Format::Yaml),
        ("# later", Format::Yaml),
        ("", Format::Toml),
    ] {
        let error = config::parse::<WorkerConfig>(text, format).expect_err("it says nothing");
        let error = error.to_string();
        assert!(error.contains("missing key `rootUrl`"), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = config::load::<WorkerConfig>(Path::new("/nowhere/worker.yml"));
    let error = runtime_core::error_chain(&missing.expect_err("there is none"));
    assert_eq!(error.matches("/nowhere/worker.yml").count(), 1, "{error}");
    let odd = config::load::<WorkerConfig>(Path::new("worker.ini")).expect_err("no format");
    assert!(
        odd.to_string().contains(".yml, .yaml, .toml or .json"),
        "{odd}"
    );
}

#[test]
fn a_file_that_is_wrong_is_named_once_with_what_is_wrong_in_it() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for (name, text, wrong) in [
        ("empty.json", "{}", "missing key `rootUrl`"),
        ("broken.json", "{", "invalid JSON"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("the folder is ours");
        let error = config::load::<WorkerConfig>(&file).expect_err("it is wrong");
        let error = runtime_core::error_chain(&error);
        assert_eq!(error.matches(name).count(), 1, "{error}");
        assert!(error.contains(wrong), "{error}");
    }
}

#[test]
fn text_that_is_not_of_its_format_gives_no_secret_away() {
    for (text, format) in [
        ("accessToken = \"hunter2", Format::Toml),
        ("{\"accessToken\": \"hunter2\"", Format::Json),
        ("accessToken: [hunter2", Format::Yaml),
    ] {
        let error = config::parse::<WorkerConfig>(text, format).expect_err("it is broken");
        let shown = format!("{error:?} {}", runtime_core::error_chain(&error));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
