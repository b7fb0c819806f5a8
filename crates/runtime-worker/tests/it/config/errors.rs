//! Error texts of invalid configurations.

use std::path::Path;

use runtime_worker::config::{self, ConfigError, Format, WorkerConfig};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{read, sample};

fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut value = sample();
    change(&mut value);
    problems_of(read(&value).expect_err("an invalid configuration"))
        .into_iter()
        // JSON in one line.
        .map(|it| it.trim_start_matches("line 1: ").to_owned())
        .collect()
}

pub(super) fn problems_of(error: ConfigError) -> Vec<String> {
    match error {
        ConfigError::Invalid { problems } => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn unknown_key_suggests_the_nearest() {
    let problems = problems(|config| {
        config["capcity"] = json!(3);
        config["timing"]["cancelpollinterval"] = json!(3);
        config["plugins"] = json!({ "zebra": true });
    });
    let all = problems.join("\n");
    assert!(
        all.contains("unknown key `capcity`, did you mean `capacity`?"),
        "{all}"
    );
    assert!(
        all.contains("unknown key `timing.cancelpollinterval`, did you mean `cancelPollInterval`?"),
        "{all}"
    );
    assert!(
        all.contains("unknown key `plugins.zebra`, expected one of cacheScopes, idleStop"),
        "{all}"
    );
}

#[test]
fn unknown_keys_are_described_up_to_a_limit() {
    let problems = problems(|config| {
        for number in 0..1000 {
            config["timing"][format!("key{number}")] = json!(1);
        }
    });
    assert_eq!(problems.len(), 11, "{problems:?}");
    let start = "unknown key `timing.key0`, expected one of ";
    assert!(problems[0].starts_with(start), "{problems:?}");
    assert_eq!(problems[10], "990 more unknown keys in `timing`");
}

#[test]
fn long_key_is_shortened() {
    let key = "capacity".repeat(100_000);
    let problems = problems(|config| config[&key] = json!(1));
    let start = format!("unknown key `{}...`, expected one of ", &key[..64]);
    assert!(problems[0].starts_with(&start), "{:.200}", problems[0]);
}

#[test]
fn problems_are_described_up_to_a_limit() {
    let problems = problems(|config| {
        let sources: Vec<_> = (0..200).map(|_| json!("no-source")).collect();
        config["shutdown"] = sources.into();
    });
    assert_eq!(problems.len(), 51, "{problems:?}");
    assert!(
        problems[49].starts_with("`shutdown.49`: expected one of"),
        "{problems:?}"
    );
    assert_eq!(problems[50], "more problems follow");
}

#[test]
fn deep_text_is_rejected() {
    let nested = |depth: usize, open: &str, close: &str| {
        format!("a: {}{}", open.repeat(depth), close.repeat(depth))
    };
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        for format in [Format::Yaml, Format::Toml, Format::Json] {
            let text = nested(100_000, open, close);
            let error = config::parse::<WorkerConfig>(&text, format).expect_err("it is too deep");
            assert!(
                matches!(error, ConfigError::TooDeep),
                "{format}: {error:.200}"
            );
        }
        let error = config::parse::<Value>(&nested(64, open, close), Format::Yaml);
        assert!(error.is_ok(), "{error:?}");
    }
}

/// Depth without brackets must reach neither the stack's end nor the test's patience.
#[test]
fn depth_without_brackets_is_rejected() {
    let keys = "a.".repeat(200_000);
    for (text, format) in [
        ("- ".repeat(200_000), Format::Yaml),
        ("? ".repeat(200_000), Format::Yaml),
        (format!("{keys}a = 1"), Format::Toml),
        (format!("[{keys}a]"), Format::Toml),
    ] {
        config::parse::<Value>(&text, format).expect_err("it is too deep");
    }
}

#[test]
fn large_file_is_rejected() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("worker.yml");
    std::fs::write(&file, format!("# {}", "é".repeat(1 << 20))).expect("writes");
    let error = config::load::<WorkerConfig>(&file).expect_err("it is too large");
    let text = runtime_core::error_chain(&error);
    let expected = format!("in `{}`: the text is larger than 1 MiB", file.display());
    assert!(text.starts_with(&expected), "{text:.300}");

    std::fs::write(&file, b"rootUrl: \xff").expect("writes");
    let error = config::load::<WorkerConfig>(&file).expect_err("it is not text");
    let text = runtime_core::error_chain(&error);
    assert!(text.ends_with("it is not UTF-8"), "{text}");
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
        text.contains("`collector.limits.minFreeDisk`: expected a size or percentage, got `20 apples`; for example `20 GiB`"),
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
fn fetch_and_unpack_errors_name_the_key() {
    let problems = problems(|config| {
        config["fetch"] = json!({ "stallTimeout": "0 s", "retry": { "maxAtempts": 4 } });
        config["plugins"] = json!({ "unpackLimits": { "maxBytes": 1000 } });
    });
    let all = problems.join("\n");
    let unknown = "unknown key `fetch.retry.maxAtempts`, did you mean `maxAttempts`?";
    assert!(all.contains(unknown), "{all}");
    assert!(
        all.contains("`fetch.stallTimeout`: expected at least 1 ms"),
        "{all}"
    );
    assert!(
        all.contains("`plugins.unpackLimits.maxBytes`: expected a size"),
        "{all}"
    );
}

#[test]
fn old_keys_are_unknown() {
    let problems = problems(|config| {
        config["internalErrors"] = json!(3);
        config["timing"] = json!({ "kill": "1 s", "hang": "1 s" });
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

#[test]
fn worker_id_has_the_characters_of_the_queue() {
    let problems = problems(|config| config["workerId"] = json!("two words"));
    assert!(problems[0].starts_with("`workerId`: "), "{problems:?}");
}

#[test]
fn root_url_is_absolute() {
    for wrong in ["tc.example.com", "https://", "ftp://tc.example.com"] {
        let problems = problems(|config| config["rootUrl"] = json!(wrong));
        let expected = "`rootUrl`: does not match its description: The root URL of the deployment";
        assert!(problems[0].starts_with(expected), "{wrong}: {problems:?}");
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
    assert!(
        text.contains("`radius`: expected an integer, got `far`"),
        "{text}"
    );
    let text = error_of(json!({ "kind": "cube" }));
    assert!(
        text.contains("`kind`: expected one of square, circle, got `cube`"),
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
        "`shutdown.0`: expected one of signals, aws-spot,",
        "missing key `workerId`",
    ] {
        assert!(all.contains(key), "{key} is not in {all}");
    }
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn task_queue_id_has_two_parts() {
    for queue in ["linux", "a/b/c", "/linux", ""] {
        let problems = problems(|config| config["taskQueueId"] = json!(queue));
        let expected = "`taskQueueId`: does not match its description: The task queue to claim from: `<provisionerId>/<workerType>`";
        assert_eq!(
            problems,
            [format!(
                "{expected}, got `{queue}`; for example `proj/linux`"
            )],
            "{queue}"
        );
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
