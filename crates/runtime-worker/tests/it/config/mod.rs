//! Configuration files: formats, defaults and error texts.

mod errors;
mod layers;
mod mistakes;
mod outside;
mod repeated_secrets;

use std::collections::BTreeMap;
use std::time::Duration;

use runtime_core::TemporaryStorage;
use runtime_gc::{Amount, Threshold};
use runtime_worker::config::{self, ConfigError, Format, ShutdownConfig, WorkerConfig};
use serde_json::{Value, json};

fn sample() -> Value {
    json!({
        "rootUrl": "https://tc.example.com/",
        "taskQueueId": "proj/linux",
        "workerGroup": "us-east",
        "workerId": "i-1",
        "dataFolder": "/var/lib/worker",
        "credentials": { "clientId": "me", "accessToken": "hunter2" },
        "collector": {
            "limits": { "minFreeDisk": { "trigger": "10 GiB", "target": "20%" } },
            "cheap": { "maxAge": "7 days" },
        },
        "timing": { "cancelPollInterval": "20 s" },
        "shutdown": ["signals", "aws-spot"],
    })
}

fn read(value: &Value) -> Result<WorkerConfig, ConfigError> {
    config::parse(&value.to_string(), Format::Json)
}

#[test]
fn formats_are_equivalent() {
    let yaml = serde_yaml_ng::to_string(&sample()).expect("YAML");
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
        cheap = { maxAge = '7 days' }
        [timing]
        cancelPollInterval = '20 s'
    ";
    for (text, format) in [
        (sample().to_string(), Format::Json),
        (yaml, Format::Yaml),
        (toml.to_owned(), Format::Toml),
    ] {
        let config: WorkerConfig = config::parse(&text, format).expect("a valid configuration");
        assert_eq!(config.identity().root_url, "https://tc.example.com");
        assert_eq!(config.timing.cancel_poll_interval.as_secs(), 20);
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

#[cfg(feature = "unpack")]
#[test]
fn fetch_and_unpack_settings_are_read() {
    let proxy = "http://me:hunter2@proxy.example:3128";
    let mut value = sample();
    value["fetch"] = json!({
        "proxy": proxy,
        "noProxy": [".example.com"],
        "stallTimeout": "5 s",
        "retry": { "maxAttempts": 3 },
        "addresses": "any",
        "allowedHosts": ["10.0.0.0/8"],
    });
    value["plugins"] = json!({ "unpackLimits": { "maxEntries": 10 } });
    let config = read(&value).expect("a valid configuration");
    assert_eq!(config.fetch.proxy, Some(config::Secret::new(proxy)));
    assert_eq!(config.fetch.no_proxy, [".example.com"]);
    assert_eq!(config.fetch.stall_timeout, Duration::from_secs(5));
    assert_eq!(config.fetch.retry.max_attempts, 3);
    assert_eq!(config.fetch.addresses, runtime_fetcher::AddressPolicy::Any);
    let allowed = "10.0.0.0/8".parse().expect("a block");
    assert_eq!(config.fetch.allowed_hosts, [allowed]);
    assert_eq!(config.plugins.unpack_limits.max_entries, 10);
    let shown = config::redacted(&config);
    assert!(shown.contains("maxAttempts: 3"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn malformed_allowed_host_is_an_error() {
    let mut value = sample();
    value["fetch"] = json!({ "allowedHosts": ["mirror.example", "10.0.0.0/99"] });
    let error = read(&value).expect_err("an invalid block").to_string();
    assert!(error.contains("fetch.allowedHosts.1"), "{error}");
    assert!(error.contains("prefix length of at most 32"), "{error}");
}

#[test]
fn default_collector_keeps_free_disk() {
    let mut value = sample();
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
fn printed_config_has_defaults_and_no_secrets() {
    let config = read(&sample()).expect("a valid configuration");
    let printed = config::redacted(&config);
    assert!(printed.contains("capacity: 1\n"), "{printed}");
    assert!(printed.contains("accessToken: '[REDACTED]'"), "{printed}");
    assert!(!printed.contains("hunter2") && !format!("{config:?}").contains("hunter2"));
}

#[test]
fn printed_config_is_complete_and_valid() {
    let mut value = sample();
    value["credentials"] = Value::Null;
    let config = read(&value).expect("a valid configuration");
    let printed = config::redacted(&config);
    for expected in [
        "  hangTimeout: 1 min\n",
        "  emptyClaimDelay: 100 ms\n",
        "outputLimit: 1 GiB\n",
        "  maxRunTime: 1 day\n",
        "#   storageQuota\n",
        "#   plugins.watchdog\n",
        "#   collector.cheap.maxCount\n",
        "#   credentials\n",
    ] {
        assert!(printed.contains(expected), "{expected}{printed}");
    }
    assert!(!printed.contains("null"), "{printed}");
    let again: WorkerConfig = config::parse(&printed, Format::Yaml).expect("its own output");
    assert_eq!(config::redacted(&again), printed);
}

#[test]
fn zero_means_no_limit_of_errors() {
    let mut value = sample();
    assert!(read(&value).is_ok());
    value["maxConsecutiveInternalErrors"] = json!(0);
    let config = read(&value).expect("a valid configuration");
    assert_eq!(config.max_consecutive_internal_errors, 0);
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
        "cancelPollInterval",
        "reclaimMargin",
        "claimGrace",
        "retryDelay",
        "claimRetryDelay",
        "longPollTimeout",
        "killTimeout",
        "hangTimeout",
        "stageTimeout",
        "shutdownTimeout",
        "shutdownReserve",
    ];
    let mut config = sample();
    let seconds = keys.iter().zip(1000..);
    let seconds = seconds.map(|(key, seconds)| (*key, format!("{seconds} s")));
    config["timing"] = json!(seconds.collect::<BTreeMap<_, String>>());
    config["timing"]["emptyClaimDelay"] = json!("250 ms");
    let timing = read(&config).expect("a valid configuration").timing;
    assert_eq!(timing.empty_claim_delay, Duration::from_millis(250));
    let set = [
        timing.cancel_poll_interval,
        timing.reclaim_margin,
        timing.claim_grace,
        timing.retry_delay,
        timing.claim_retry_delay,
        timing.long_poll_timeout,
        timing.kill_timeout,
        timing.hang_timeout,
        timing.stage_timeout,
        timing.shutdown_timeout,
        timing.shutdown_reserve,
    ];
    assert_eq!(
        set.map(|it| it.as_secs()),
        std::array::from_fn(|n| 1000 + n as u64)
    );
}

#[test]
fn storage_quota_limits_reservations() {
    let mut config = sample();
    config["storageQuota"] = json!("1000 B");
    let config = read(&config).expect("a valid configuration");
    let folder = tempfile::tempdir().expect("create a folder");
    let storage = TemporaryStorage::open_with(folder.path(), config.storage_options());
    let storage = storage.expect("open the storage");
    let _reserved = storage.reserve(1000).expect("within the quota");
    storage.reserve(1).expect_err("the quota is used up");
}

#[test]
fn each_provider_registers() {
    for (registration, file) in [
        (
            json!({ "provider": "static", "staticSecret": "hunter2" }),
            None,
        ),
        (json!({ "provider": "aws", "stateFile": "/f" }), Some("/f")),
        (json!({ "provider": "google" }), None),
        (
            json!({ "provider": "azure", "metadataUrl": "http://127.0.0.1:1" }),
            None,
        ),
    ] {
        let mut value = sample();
        value["registration"] = registration;
        let config = read(&value).expect("valid");
        let registration = config.registration.expect("a registration");
        assert_eq!(registration.state_file(), file.map(std::path::Path::new));
        assert!(!format!("{registration:?}").contains("hunter2"));
    }
    let mut value = sample();
    value["registration"] = json!({ "provider": "aws", "staticSecret": "hunter2" });
    let error = errors::problems_of(read(&value).expect_err("another provider")).join("\n");
    assert!(
        error.contains("unknown key `registration.staticSecret`"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}
