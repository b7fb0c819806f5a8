//! The serde form of the configuration.

#![cfg(feature = "serde")]

use std::time::Duration;

use proptest::prelude::*;
use runtime_gc::{Amount, CostClass, GcConfig, Threshold};
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
            "maxAge": "7 d",
        },
        "cheap": { "maxTotalSize": "50 GB" },
        "expensive": { "maxCount": { "trigger": 10, "target": 8 } },
        "interval": "2 min",
        "disposeTimeout": 90,
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
        json!({ "limits": { "minFreeDisk": -1 } }),
        "expected a number, a size such as",
    );
    check(
        json!({ "limits": { "minFreeDisk": [1] } }),
        "expected a trigger, or",
    );
    check(
        json!({ "limits": { "minFreeDisk": { "trigger": 1, "at": 2 } } }),
        "unknown field `at`",
    );
    check(json!({ "limits": { "maxCount": "many" } }), "expected u64");
    check(
        json!({ "limits": { "maxAge": "a week" } }),
        "such as `90 s`",
    );
    check(json!({ "interval": "1 fortnight" }), "such as `90 s`");
}

proptest! {
    #[test]
    fn written_amounts_are_read_back(bytes: u64, percent in 0.0..=100.0_f64) {
        for amount in [Amount::Absolute(bytes), Amount::Percent(percent)] {
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
        }
    }
}
