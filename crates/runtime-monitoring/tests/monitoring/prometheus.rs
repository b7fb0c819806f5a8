//! The OpenMetrics text, read by a strict parser.

use std::collections::{BTreeMap, BTreeSet};

use runtime_monitoring::{CATALOG, LoggingMonitor, MetricKind, Metrics, Unit};

/// A metric family.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    unit: Option<String>,
    help: Option<String>,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    /// The suffix behind the name of the family.
    suffix: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Parses the text. Panics on any violation of the OpenMetrics specification.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let text = text.strip_suffix("# EOF\n").expect("the end marker");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (key, name) = (words.next().expect("a key"), words.next().expect("a name"));
            let rest = words.next().expect("a value");
            check_name(name);
            if name != current {
                assert!(!families.contains_key(name), "{name} appears twice");
                current = name.to_owned();
            }
            let family = families.entry(current.clone()).or_default();
            assert!(family.samples.is_empty(), "{line}: after samples");
            match key {
                "TYPE" => family.kind = rest.to_owned(),
                "UNIT" => family.unit = Some(rest.to_owned()),
                "HELP" => family.help = Some(rest.to_owned()),
                key => panic!("unknown comment {key}"),
            }
        } else {
            let (name, sample) = sample(line);
            let suffix = name
                .strip_prefix(&current)
                .unwrap_or_else(|| panic!("{line}: not of {current}"));
            let family = families.get_mut(&current).expect("a family");
            family.samples.push(Sample {
                suffix: suffix.to_owned(),
                ..sample
            });
        }
    }
    families
        .iter()
        .for_each(|(name, family)| check(name, family));
    families
}

fn check_name(name: &str) {
    let mut chars = name.chars();
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    assert!(chars.next().is_some_and(is_first), "{name}");
    assert!(chars.all(|c| is_first(c) || c.is_ascii_digit()), "{name}");
}

fn sample(line: &str) -> (String, Sample) {
    let end = line.find(['{', ' ']).expect("a value");
    let (name, rest) = line.split_at(end);
    check_name(name);
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest),
        None => (BTreeMap::new(), rest),
    };
    let value = value.strip_prefix(' ').expect("a space");
    let value = match value {
        "+Inf" => f64::INFINITY,
        value => value
            .parse()
            .unwrap_or_else(|_| panic!("{line}: invalid number")),
    };
    let sample = Sample {
        suffix: String::new(),
        labels,
        value,
    };
    (name.to_owned(), sample)
}

fn labels(mut rest: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    loop {
        let (name, after) = rest.split_once("=\"").expect("a label");
        check_name(name);
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect("the closing quote") {
                (at, '"') => break at,
                (_, '\\') => match chars.next().expect("an escape").1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    c => panic!("escape {c}"),
                },
                (_, c) => value.push(c),
            }
        };
        let old = labels.insert(name.to_owned(), value);
        assert_eq!(old, None, "duplicate label {name}");
        rest = &after[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (labels, rest.strip_prefix('}').expect("the closing brace")),
        }
    }
}

/// Checks the samples of a family against its kind.
fn check(name: &str, family: &Family) {
    assert!(family.help.is_some(), "{name} has no help");
    if let Some(unit) = &family.unit {
        assert!(name.ends_with(&format!("_{unit}")), "{name} is in {unit}");
    }
    let suffixes: BTreeSet<&str> = family.samples.iter().map(|it| &*it.suffix).collect();
    let allowed: &[&str] = match &*family.kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        "histogram" => &["_bucket", "_count", "_sum"],
        kind => panic!("{name} is a {kind}"),
    };
    assert!(
        suffixes.iter().all(|it| allowed.contains(it)),
        "{name}: {suffixes:?}"
    );
    let mut seen = BTreeSet::new();
    for sample in &family.samples {
        let key = (sample.suffix.clone(), sample.labels.clone());
        assert!(seen.insert(key), "duplicate sample of {name}");
        assert!(family.kind == "gauge" || sample.value >= 0.0);
    }
    if family.kind == "histogram" {
        check_histogram(name, family);
    }
}

fn check_histogram(name: &str, family: &Family) {
    let without_le = |sample: &Sample| {
        let mut labels = sample.labels.clone();
        labels.remove("le");
        labels
    };
    let series: BTreeSet<_> = family.samples.iter().map(without_le).collect();
    for labels in series {
        let of = |suffix: &'static str| {
            let samples = family.samples.iter();
            samples
                .filter(|it| it.suffix == suffix && without_le(it) == labels)
                .collect::<Vec<_>>()
        };
        let bound = |sample: &&Sample| match &*sample.labels["le"] {
            "+Inf" => f64::INFINITY,
            le => le.parse().expect("a number"),
        };
        let buckets = of("_bucket");
        assert!(buckets.iter().map(bound).is_sorted(), "{name}");
        assert!(
            buckets.iter().map(|it| it.value).is_sorted(),
            "{name}: cumulative"
        );
        assert_eq!(buckets.last().map(bound), Some(f64::INFINITY), "{name}");
        let (count, sum) = (of("_count"), of("_sum"));
        assert_eq!((count.len(), sum.len()), (1, 1), "{name}");
        assert_eq!(buckets.last().map(|it| it.value), Some(count[0].value));
    }
}

fn total(family: &Family) -> f64 {
    family.samples.iter().map(|sample| sample.value).sum()
}

#[test]
fn catalog_is_valid_openmetrics() {
    let metrics = Metrics::new();
    let monitor = LoggingMonitor::new()
        .with_metrics(metrics.clone())
        .into_monitor();
    for described in CATALOG {
        match described.kind {
            MetricKind::Counter => monitor.count(described.name, 1),
            MetricKind::Histogram => monitor.measure(described.name, 0.3),
            MetricKind::Gauge => metrics.set_gauge(described.name, 0.3),
            _ => unreachable!("there are three kinds"),
        }
    }
    let families = parse(&metrics.to_openmetrics());
    assert_eq!(families.len(), CATALOG.len());
    let duration = &families["worker_task_duration_seconds"];
    assert_eq!(duration.unit.as_deref(), Some("seconds"));
    let pressure = &families["worker_pressure_ratio"];
    assert_eq!(pressure.unit.as_deref(), Some("ratio"));
    assert_eq!(total(&families["worker_webhook_requests"]), 1.0);
    let undescribed = families
        .values()
        .filter(|family| family.help.as_deref() == Some("No description."));
    assert_eq!(undescribed.count(), 0);
}

#[test]
fn label_values_are_escaped() {
    let metrics = Metrics::builder()
        .labels(["kind"])
        .describe("cache.size", Unit::Bytes, "two\nlines, a \" and a \\")
        .build();
    let monitor = LoggingMonitor::new()
        .with_metrics(metrics.clone())
        .into_monitor();
    let odd = "a \"b\" \\ c\nd, e=\"f\"} 5";
    monitor
        .with_tag("kind", odd)
        .with_prefix("cache")
        .count("hits", 2);
    monitor.with_prefix("cache").measure("size", 5000.0);
    let families = parse(&metrics.to_openmetrics());
    let hits = &families["worker_cache_hits"];
    assert_eq!(hits.samples[0].labels["kind"], odd);
    assert!(families.contains_key("worker_cache_size_bytes"));
}

#[test]
fn colliding_names_stay_distinct() {
    let metrics = Metrics::new();
    let monitor = LoggingMonitor::new()
        .with_metrics(metrics.clone())
        .into_monitor();
    monitor.count("a.b", 1);
    monitor.count("a-b", 2);
    monitor.measure("a.b", 3.0);
    metrics.set_gauge("a_b", 4.0);
    let families = parse(&metrics.to_openmetrics());
    assert_eq!(families.len(), 4);
}

#[test]
fn whole_counters_are_exact() {
    let metrics = Metrics::new();
    let monitor = LoggingMonitor::new()
        .with_metrics(metrics.clone())
        .into_monitor();
    monitor.count("bytes", 1 << 53);
    monitor.count("bytes", 1);
    monitor.count_f64("cost", 1.25);
    let text = metrics.to_openmetrics();
    assert!(
        text.contains("\nworker_bytes_total 9007199254740993\n"),
        "{text}"
    );
    assert!(text.contains("\nworker_cost_total 1.25\n"), "{text}");
    parse(&text);
}
