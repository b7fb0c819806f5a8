//! The serde form of the configuration.

#![cfg(feature = "serde")]

use std::time::Duration;

use proptest::prelude::*;
use runtime_gc::{Amount, ByteSize, CostClass, DurationText, GcConfig, Threshold};
use serde_json::{Value, json};

fn read(config: Value) -> Result<GcConfig, String> {
    serde_json::from_value(config).map_err(|error| error.to_string())
}

#[test]
fn empty_configuration_is_the_default() {
    assert_eq!(read(json!({})), Ok(GcConfig::default()));
}

#[test]
fn all_keys_are_read() {
    let config = read(json!({
        "limits": {
            "minFreeDisk": { "trigger": "10%", "target": "20 GiB" },
            "minFreeInodes": 1000,
            "minAvailableMemory": "512 MiB",
            "maxMemoryStall": 12.5,
            "maxAge": "7 days",
        },
        "cheap": { "maxTotalSize": "50 GB" },
        "expensive": { "maxCount": { "trigger": 10, "target": 8 } },
        "interval": "2 min",
        "disposeTimeout": "90 seconds",
        "disposeSoftTimeout": "15 s",
        "maxParallelDisposals": 2,
    }))
    .unwrap();
    let limits = &config.limits;
    let disk = Threshold::at(Amount::Percent(10.0)).target(Amount::Absolute(20 << 30));
    assert_eq!(limits.min_free_disk, Some(disk));
    assert_eq!(
        limits.min_free_inodes,
        Some(Threshold::at(Amount::Absolute(1000)))
    );
    assert_eq!(
        limits.min_available_memory,
        Some(Threshold::at(Amount::Absolute(512 << 20)))
    );
    assert_eq!(limits.max_memory_stall, Some(12.5));
    assert_eq!(limits.max_age, Some(Duration::from_secs(7 * 86_400)));
    let cheap = config.class(CostClass::Cheap);
    assert_eq!(
        cheap.max_total_size,
        Some(Threshold::at(Amount::Absolute(50_000_000_000)))
    );
    assert_eq!(
        config.expensive.max_count,
        Some(Threshold::at(10).target(8))
    );
    assert_eq!(config.interval, Duration::from_secs(120));
    assert_eq!(config.dispose_timeout, Duration::from_secs(90));
    assert_eq!(config.dispose_soft_timeout, Duration::from_secs(15));
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(read(written), Ok(config));
}

#[test]
fn errors_name_the_expected_form() {
    let check = |config: Value, part: &str| {
        let error = read(config).unwrap_err();
        assert!(error.contains(part), "{error}");
    };
    check(json!({ "minFreeDisk": 1 }), "unknown field `minFreeDisk`");
    check(
        json!({ "limits": { "minFreeDisk": "20 apples" } }),
        "such as `20 GiB` or `500 MB`",
    );
    check(
        json!({ "limits": { "minFreeDisk": 1000 } }),
        "expected a size such as `20 GiB`, or a percentage",
    );
    check(
        json!({ "limits": { "minFreeDisk": "1000" } }),
        "expected a size such as `20 GiB`, or a percentage",
    );
    check(
        json!({ "limits": { "minFreeInodes": -1 } }),
        "expected a number, a size such as",
    );
    check(
        json!({ "limits": { "minFreeDisk": [1] } }),
        "expected a trigger, or",
    );
    check(
        json!({ "limits": { "minFreeDisk": { "trigger": "1 B", "at": 2 } } }),
        "unknown field `at`",
    );
    check(json!({ "limits": { "maxCount": "many" } }), "expected u64");
    check(
        json!({ "limits": { "maxAge": "a week" } }),
        "such as `90 s`",
    );
    check(json!({ "interval": "1 fortnight" }), "such as `90 s`");
    check(json!({ "interval": 90 }), "a duration such as `15 min`");
}

proptest! {
    #[test]
    fn written_amounts_are_read_back(bytes: u64, percent in 0.0..=100.0_f64) {
        for amount in [Amount::Absolute(bytes), Amount::Percent(percent)] {
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
        }
    }

    #[test]
    fn written_durations_are_read_back(millis: u64) {
        let duration = DurationText(Duration::from_millis(millis));
        prop_assert_eq!(duration.to_string().parse(), Ok(duration));
    }

    #[test]
    fn written_sizes_are_read_back(bytes: u64) {
        let size = ByteSize(bytes);
        prop_assert_eq!(size.to_exact_text().parse(), Ok(size));
    }
}

#[test]
fn units_have_several_names() {
    let check = |text: &str, seconds: u64| {
        let expected = DurationText(Duration::from_secs(seconds));
        assert_eq!(text.parse(), Ok(expected), "{text}");
    };
    check("90 s", 90);
    check("90seconds", 90);
    check(" 15 min ", 900);
    check("15 minutes", 900);
    check("2 hours", 7200);
    check("1 day", 86_400);
    check("7 days", 7 * 86_400);
    assert_eq!(
        "500 ms".parse(),
        Ok(DurationText(Duration::from_millis(500)))
    );
    assert_eq!("100 MiB".parse(), Ok(ByteSize(100 << 20)));
    assert_eq!("100 MB".parse(), Ok(ByteSize(100_000_000)));
}

#[test]
fn largest_exact_unit_is_written() {
    let check = |millis: u64, text: &str| {
        let duration = DurationText(Duration::from_millis(millis));
        assert_eq!(duration.to_string(), text);
    };
    check(0, "0 s");
    check(1500, "1500 ms");
    check(90_000, "90 s");
    check(900_000, "15 min");
    check(86_400_000, "1 day");
    check(7 * 86_400_000, "7 days");
    assert_eq!(DurationText(Duration::from_nanos(1)).to_string(), "1 ms");
    assert_eq!(ByteSize(1536 << 20).to_exact_text(), "1536 MiB");
    assert_eq!(ByteSize(0).to_exact_text(), "0 B");
}

#[test]
fn numbers_need_a_known_unit() {
    for text in [
        "",
        "15",
        "min",
        "1.5 h",
        "-1 s",
        "15 m",
        "10 gib",
        "5 min 3 s",
    ] {
        assert!(text.parse::<DurationText>().is_err(), "{text}");
        assert!(text.parse::<ByteSize>().is_err(), "{text}");
    }
}

#[test]
fn large_numbers_saturate() {
    let longest = "99999999999999999999 days".parse::<DurationText>();
    assert_eq!(longest, Ok(DurationText(Duration::from_millis(u64::MAX))));
    assert_eq!("99999999 TiB".parse(), Ok(ByteSize(u64::MAX)));
}
