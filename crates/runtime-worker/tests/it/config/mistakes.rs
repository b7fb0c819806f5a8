//! Files with several mistakes: all are reported at once, each with its line, value and remedy.

use runtime_worker::config::{self, Format, WorkerConfig};
use serde_json::json;

use super::errors::problems_of;
use super::sample;

/// Eleven mistakes of different kinds, one a line.
const MISTAKES: [(&str, &str); 11] = [
    (
        "taskQueueId: linux",
        "`taskQueueId`: does not match its description: The task queue to claim from: `<provisionerId>/<workerType>`, got `linux`; for example `proj/linux`",
    ),
    (
        "workerld: i-1",
        "unknown key `workerld`, did you mean `workerId`?",
    ),
    (
        "capacity: many",
        "`capacity`: expected an integer, got `many`; for example `1`",
    ),
    (
        "storageQuota: 1000000",
        "`storageQuota`: expected a size, got `1000000`; for example `10 GiB`",
    ),
    (
        "outputLimit: 10 GibiBytes",
        "`outputLimit`: expected a size, got `10 GibiBytes`; for example `1 GiB`",
    ),
    (
        "timing: { longPollTimeout: 20 s }",
        "`timing.longPollTimeout`: expected at least 21 s, got `20 s`; for example `22 s`",
    ),
    (
        "collector: { interval: 90, limits: { minFreeDisk: 5 } }",
        "`collector.interval`: expected a duration, got `90`; for example `1 min`",
    ),
    (
        "credentials: { clientId: 7, accessToken: 7777 }",
        "`credentials.clientId`: expected a text, got `7`",
    ),
    (
        "plugins: { stopOnError: perhaps, watchdog: 0 s }",
        "`plugins.stopOnError`: expected true or false, got `perhaps`; for example `false`",
    ),
    (
        "shutdown: [siren]",
        "`shutdown.0`: expected one of signals, aws-spot, gcp-preemption, azure-events, worker-manager, worker-runner, got `siren`",
    ),
    (
        "registration: hunter2",
        "`registration`: expected a map, got a text",
    ),
];

#[test]
fn all_mistakes_are_reported_at_once() {
    let lines: Vec<_> = MISTAKES.iter().map(|(line, _)| *line).collect();
    let text = format!("rootUrl: https://tc.example.com\n{}", lines.join("\n"));
    let error = config::parse::<WorkerConfig>(&text, Format::Yaml).expect_err("mistakes");
    let shown = error.to_string();
    assert!(
        !shown.contains("hunter2") && !shown.contains("7777"),
        "{shown}"
    );
    let problems = problems_of(error);
    for (number, (_, expected)) in MISTAKES.iter().enumerate() {
        let expected = format!("line {}: {expected}", number + 2);
        assert!(problems.contains(&expected), "{expected}\n{shown}");
    }
    for more in [
        "line 8: `collector.limits.minFreeDisk`: does not match its description: A trigger, or `{\"trigger\": .., \"target\": ..}` with the value at which a collection stops, got `5`; for example `20 GiB`",
        "line 9: `credentials.accessToken`: expected a text",
        "line 10: `plugins.watchdog`: expected at least 1 s, got `0 s`; for example `15 min`",
        "missing key `workerGroup`; for example `us-east`",
    ] {
        assert!(problems.iter().any(|it| it == more), "{more}\n{shown}");
    }
}

#[test]
fn lines_are_those_of_each_format() {
    let yaml =
        "# comment\ntiming:\n  # comment\n  hangTimeout: 3\nshutdown:\n  - signals\n  - siren\n";
    let json =
        "{\n\"timing\":\n{\n\"hangTimeout\": 3 },\n\"shutdown\": [\n\"signals\",\n\"siren\"\n]}";
    let toml = "shutdown = [\n'signals', # é\n'siren']\n[timing]\n\nhangTimeout = 3\n";
    for (text, format, duration, source) in [
        (yaml, Format::Yaml, 4, 7),
        (json, Format::Json, 4, 7),
        (toml, Format::Toml, 6, 3),
    ] {
        let error = config::parse::<WorkerConfig>(text, format).expect_err("mistakes");
        let problems = problems_of(error);
        for start in [
            format!("line {duration}: `timing.hangTimeout`: expected a duration"),
            format!("line {source}: `shutdown.1`: expected one of"),
        ] {
            let found = problems.iter().any(|it| it.starts_with(&start));
            assert!(found, "{format}: {start}: {problems:#?}");
        }
    }
}

/// serde stops at the first violation of rules that the schema does not express.
#[test]
fn rules_beyond_the_schema_are_checked_together() {
    let mut value = sample();
    value["fetch"] = json!({
        "allowedHosts": ["10.0.0.0/99", "mirror.example", "10.0.0.0/88", 7, "::/999"],
        "stallTimeout": 5,
    });
    let text = serde_yaml_ng::to_string(&value).expect("YAML");
    let error = config::parse::<WorkerConfig>(&text, Format::Yaml).expect_err("two blocks");
    let problems = problems_of(error);
    assert_eq!(problems.len(), 5, "{problems:#?}");
    for (index, problem) in [0, 2, 3, 4].into_iter().zip(&problems) {
        let path = format!("`fetch.allowedHosts.{index}`: ");
        assert!(
            problem.contains(&path) && problem.starts_with("line "),
            "{problem}"
        );
    }
}
